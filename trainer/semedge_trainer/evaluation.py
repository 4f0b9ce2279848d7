"""A detector bundle measured on frames with masks, by the code that runs on the edge."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.bundle import Bundle
from semedge.errors import SemedgeError, unknown_name
from semedge.frame import GrayImage
from semedge.grid import PatchGrid
from semedge.patch_scorer import PatchScorer
from semedge.scorer import make_scorer
from semedge_trainer.floors import Floors
from semedge_trainer.items import FrameItems, frame_items
from semedge_trainer.masks import MaskedFrame
from semedge_trainer.metrics import Measures, measure

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]

THESIS_PATCH_PX = 32
THESIS_STRIDE_PX = 16
THESIS_MOST_NORMAL_PX = 20
"""A patch with more anomalous pixels than this is anomalous."""


class AnyScorer(Protocol):
    """Gives every patch its scores: a bundle as on the edge, or the networks of a run."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is scored, for the record."""

    @property
    def patch_px(self) -> int:
        """Side of a patch."""

    @property
    def stride_px(self) -> int:
        """Distance between patches unless told otherwise."""

    @property
    def trained_on(self) -> Collection[str]:
        """Digests of the frames that it was trained on."""

    @property
    def thesis_patch_px(self) -> int:
        """Side of the patches that the thesis protocol asks for."""

    def score_chosen(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Scores]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part."""


class MultiScorer:
    """Several scores of a bundle by their names.

    Parameters
    ----------
    bundle
        What to run.
    score_names
        Scores of the manifest.
    workers
        Threads that score batches in parallel; the usable cores where None.
    """

    def __init__(
        self, bundle: Bundle, score_names: Sequence[str], workers: int | None = None
    ) -> None:
        self.bundle = bundle
        self.score_names = tuple(score_names)
        self._scorer = make_scorer(
            bundle, {name: _weights(bundle, name) for name in score_names}, workers
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Path and digest of the bundle, name and quantization of the detector."""
        return {
            "path": self.bundle.name,
            "sha256": self.bundle.sha256,
            "name": self.bundle.manifest.detector,
            "quantization": self.bundle.manifest.quantization,
        }

    @property
    def stride_px(self) -> int:
        """The bundle's."""
        return self.bundle.manifest.stride_px

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Digests of the training frames."""
        return self.bundle.manifest.training.frame_sha256

    @property
    def patch_px(self) -> int:
        """Side of a patch."""
        return self.bundle.manifest.input.patch_px

    @property
    def thesis_patch_px(self) -> int:
        """Its own patch; of a whole-frame detector, which has none, the thesis's."""
        return self.patch_px if isinstance(self._scorer, PatchScorer) else THESIS_PATCH_PX

    def score_chosen(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Scores]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part.

        A whole-frame detector's score of a patch is the highest of the cells that lie in it.
        """
        if isinstance(self._scorer, PatchScorer):
            scores, _ = self._scorer.run(grid.cut(cropped(image, grid))[chosen])
        else:
            scores = self._score_cells(image, grid, chosen)
        for name, values in scores.items():
            if not np.isfinite(values).all():
                raise SemedgeError(
                    f"{self.bundle.name} gives a patch a score {name} that is no number; export "
                    "the detector again."
                )
        return scores

    def _score_cells(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Scores]:
        height, width = image.shape
        cells = PatchGrid((height, width), self.patch_px, min(self.patch_px, grid.stride_px))
        by_cell, _ = self._scorer.score_image(image, cells)
        if grid == cells:
            return {name: values[chosen] for name, values in by_cell.items()}
        scores = {}
        for name, values in by_cell.items():
            pixels = cells.to_pixels(values)
            patches = grid.cut(cropped(pixels, grid))
            scores[name] = patches[chosen].max(axis=(1, 2, 3))
        return scores

    def close(self) -> None:
        """End the worker threads."""
        self._scorer.close()

    def __enter__(self) -> MultiScorer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def score_names(bundle: Bundle) -> list[str]:
    """Every score of a bundle, the one that frames are judged by first."""
    chosen = bundle.manifest.score.name
    return [chosen, *sorted(set(bundle.manifest.scores) - {chosen})]


def _weights(bundle: Bundle, name: str) -> Mapping[str, float]:
    if name not in score_names(bundle):
        raise unknown_name(f"{bundle.name} has no score", name, "it has", score_names(bundle))
    chosen = bundle.manifest.score
    return chosen.weights if name == chosen.name else bundle.manifest.scores[name]


class EvaluationProtocol(Protocol):
    """Which items of a frame are scored, and which of them are anomalous."""

    @property
    def name(self) -> str:
        """What results are filed under."""

    @property
    def stride_px(self) -> int:
        """Distance between patches."""

    def patch_px(self, scorer: AnyScorer) -> int:
        """Side of the patches that a scorer is asked for."""

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """Patches of a frame; they may lie in a part of it that starts at its upper left."""

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """Which items are anomalous."""

    def regions(self, labels: Mask) -> NDArray[np.integer] | None:
        """Number of the connected region of each anomalous item; None where items are no pixels."""

    def item_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """Scores of the items, of the shape of the labels."""


@dataclass(frozen=True)
class ThesisProtocol:
    """Items are the patches of the thesis: stride 16, the borders left out."""

    name: str = "thesis"
    stride_px: int = THESIS_STRIDE_PX

    def patch_px(self, scorer: AnyScorer) -> int:
        """Side of the patches that a scorer is asked for."""
        return scorer.thesis_patch_px

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """Patches of the frame cut down to whole patches, none snapped to the border.

        A frame of 696x1024 px has 41 x 63 = 2,583 patches of 32 px.
        """
        if patch_px < self.stride_px:
            raise SemedgeError(
                f"The thesis protocol needs patches of {self.stride_px} px or more, and the "
                f"detector has {patch_px} px; use the pixel protocol."
            )
        height, width = (length_px // patch_px * patch_px for length_px in frame_shape)
        height -= (height - patch_px) % self.stride_px
        width -= (width - patch_px) % self.stride_px
        return PatchGrid((height, width), patch_px, self.stride_px)

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """Whether more than 20 mask pixels of a patch are set, shape `(len(grid),)`."""
        patches = grid.cut(cropped(mask, grid).astype(np.uint8))
        anomalous: Mask = patches.sum(axis=(1, 2, 3)) > THESIS_MOST_NORMAL_PX
        return anomalous

    def regions(self, labels: Mask) -> None:
        """None: a patch may hold parts of several regions."""

    def item_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """The patch scores as they are."""
        return patch_scores


@dataclass(frozen=True)
class PixelProtocol:
    """Items are all pixels of a frame; a pixel's score is the mean over its patches."""

    stride_px: int
    name: str = "pixel"

    def patch_px(self, scorer: AnyScorer) -> int:
        """The scorer's own."""
        return scorer.patch_px

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """The grid of the edge."""
        return PatchGrid(frame_shape, patch_px, self.stride_px)

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """The mask."""
        return mask

    def regions(self, labels: Mask) -> NDArray[np.integer]:
        """Regions of pixels that touch, corners included."""
        _, numbers = cv2.connectedComponents(labels.astype(np.uint8), connectivity=8)
        return numbers.astype(np.int32, copy=False)[labels]

    def item_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """The score map, shape of the frame."""
        return grid.to_pixels(patch_scores)


def cropped(image: NDArray, grid: PatchGrid) -> NDArray:
    """The upper left part of a frame that the grid covers."""
    height, width = grid.frame_shape
    return image[:height, :width]


@dataclass(frozen=True)
class PatchSample:
    """A seeded choice of patches, for scores that are too slow for all of them."""

    patches_a_frame: int
    seed: int

    def choose(self, frame: int, patches: int) -> NDArray[np.intp]:
        """Indices of the patches chosen of a frame, ascending."""
        random = np.random.default_rng([self.seed, frame])
        count = min(self.patches_a_frame, patches)
        return np.sort(random.choice(patches, count, replace=False))


@dataclass(frozen=True)
class Part:
    """What is judged as one: a whole frame or a field of it.

    Attributes
    ----------
    patches
        Indices of its patches.
    anomalous
        Whether any pixel of its mask is set.
    """

    patches: NDArray[np.intp]
    anomalous: bool


@dataclass(frozen=True)
class ScoredFrame:
    """A frame under one protocol.

    Attributes
    ----------
    files
        Where the frame and its mask are.
    anomalous_px
        Number of pixels set in the whole mask.
    grid
        Where the patches lie.
    labels
        Which items are anomalous.
    regions
        Number of the connected region of each anomalous item; None where items are no pixels.
    chosen
        Indices of the patches that were scored.
    parts
        The frame, or its fields; none where only some of its patches were scored.
    patch_scores
        Scores `(len(chosen),)` by name.
    """

    files: MaskedFrame
    anomalous_px: int
    grid: PatchGrid
    labels: Mask
    regions: NDArray[np.integer] | None
    chosen: NDArray[np.intp]
    parts: tuple[Part, ...]
    patch_scores: Mapping[str, Scores]

    def items(self, protocol: EvaluationProtocol, score: str) -> FrameItems:
        """Scores of the items, sorted."""
        scores = protocol.item_scores(self.grid, self.patch_scores[score])
        return frame_items(scores, self.labels, self.regions)

    def part_items(self, score: str) -> FrameItems:
        """Scores of the parts, each that of its highest patch."""
        scores = self.patch_scores[score]
        highest = np.array([scores[part.patches].max() for part in self.parts], np.float32)
        return frame_items(highest, np.array([part.anomalous for part in self.parts], bool))


def score_frames(
    scorer: AnyScorer,
    frames: Iterable[MaskedFrame],
    protocols: Sequence[EvaluationProtocol],
    floors: Floors | None = None,
    sample: PatchSample | None = None,
    fields_px: tuple[int, int] | None = None,
) -> dict[str, list[ScoredFrame]]:
    """Score every frame under every protocol, by the name of the protocol.

    Parameters
    ----------
    scorer
        What gives the scores.
    frames
        With their masks; one without a mask counts among whole frames only.
    protocols
        Which items to score.
    floors
        Scores to add that need no detector.
    sample
        Score these patches only, in protocols whose items are patches.
    fields_px
        Width and height of the fields that a frame is judged by; the whole frame where None.
    """
    scored: dict[str, list[ScoredFrame]] = {protocol.name: [] for protocol in protocols}
    for number, files in enumerate(frames):
        image, mask = files.read(scorer.patch_px)
        height, width = image.shape
        for protocol in protocols:
            grid = protocol.grid((height, width), protocol.patch_px(scorer))
            labels = protocol.labels(grid, mask)
            chosen = np.arange(len(grid))
            if sample is not None:
                chosen = sample.choose(number, len(grid))
                labels = labels[chosen]
            scores = scorer.score_chosen(image, grid, chosen)
            if floors is not None:
                scores |= floors.floor_scores(grid.cut(cropped(image, grid))[chosen])
            parts = () if sample else tuple(parts_of(grid, mask, fields_px))
            regions = protocol.regions(labels)
            scored[protocol.name].append(
                ScoredFrame(files, int(mask.sum()), grid, labels, regions, chosen, parts, scores)
            )
    return scored


def parts_of(grid: PatchGrid, mask: Mask, fields_px: tuple[int, int] | None) -> Iterator[Part]:
    """The frame as one, or its whole fields with the patches that lie inside each."""
    if fields_px is None:
        yield Part(np.arange(len(grid)), bool(mask.any()))
        return
    width, height = fields_px
    numbers = np.arange(len(grid)).reshape(grid.shape)
    for top in range(0, mask.shape[0] - height + 1, height):
        rows = _inside(grid.tops, top, height - grid.patch_px)
        for left in range(0, mask.shape[1] - width + 1, width):
            patches = numbers[np.ix_(rows, _inside(grid.lefts, left, width - grid.patch_px))]
            if patches.size:
                marked = mask[top : top + height, left : left + width]
                yield Part(patches.ravel(), bool(marked.any()))


def _inside(starts: NDArray[np.intp], start: int, room_px: int) -> Mask:
    """Which patches lie in a field that starts at `start` and is longer by `room_px`."""
    return (starts >= start) & (starts <= start + room_px)


@dataclass(frozen=True)
class Row:
    """What was measured of one score.

    Attributes
    ----------
    score
        Its name.
    items
        Over patches or pixels, as the protocol says.
    frames
        Over frames or their fields, the score being that of the highest patch; anomalous if any
        pixel of the mask is set. Here normal frames without a mask count too. At the calibrated
        threshold only in the pixel protocol, whose patches are those that the threshold was made
        for.
    """

    score: str
    items: Measures
    frames: Measures


def measure_scores(
    protocol: EvaluationProtocol,
    scored: Sequence[ScoredFrame],
    thresholds: Mapping[str, float],
    seed: int = 0,
) -> list[Row]:
    """One row a score; `thresholds` holds the calibrated ones by score."""
    rows = []
    for score in scored[0].patch_scores:
        threshold = thresholds.get(score)
        items = [frame.items(protocol, score) for frame in scored if frame.files.masked]
        frames = [frame.part_items(score) for frame in scored]
        frame_threshold = threshold if isinstance(protocol, PixelProtocol) else None
        rows.append(
            Row(score, measure(items, threshold, seed), measure(frames, frame_threshold, seed))
        )
    return rows
