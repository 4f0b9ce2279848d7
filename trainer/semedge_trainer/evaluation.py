"""A detector bundle measured on frames with masks, by the code that runs on the edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from semedge.bundle import Bundle
from semedge.errors import SemedgeError
from semedge.frame import GrayImage
from semedge.grid import PatchGrid
from semedge.patch_scorer import PatchScorer
from semedge_trainer.floors import Floors
from semedge_trainer.masks import MaskedFrame
from semedge_trainer.metrics import FrameItems, Measures, frame_items, measure

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]

THESIS_STRIDE_PX = 16
THESIS_MOST_NORMAL_PX = 20
"""A patch with more anomalous pixels than this is anomalous."""


class MultiScorer(PatchScorer):
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
        super().__init__(bundle, {name: _weights(bundle, name) for name in score_names}, workers)

    def score(self, patches: GrayImage) -> dict[str, Scores]:
        """Scores of patches `(n, patch_px, patch_px, 1)`, each `(n,)`, by name."""
        scores, _ = self.run(patches)
        for name, values in scores.items():
            if not np.isfinite(values).all():
                raise SemedgeError(
                    f"{self.bundle.name} gives a patch a score {name} that is no number; export "
                    "the detector again."
                )
        return scores


def score_names(bundle: Bundle) -> list[str]:
    """Every score of a bundle, the one that frames are judged by first."""
    chosen = bundle.manifest.score.name
    return [chosen, *sorted(set(bundle.manifest.scores) - {chosen})]


def _weights(bundle: Bundle, name: str) -> Mapping[str, float]:
    if name not in score_names(bundle):
        raise SemedgeError(
            f"{bundle.name} has no score {name!r}; it has {', '.join(score_names(bundle))}."
        )
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

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """Patches of a frame; they may lie in a part of it that starts at its upper left."""

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """Which items are anomalous."""

    def item_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """Scores of the items, of the shape of the labels."""


@dataclass(frozen=True)
class ThesisProtocol:
    """Items are the patches of the thesis: stride 16, the borders left out."""

    name: str = "thesis"
    stride_px: int = THESIS_STRIDE_PX

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

    def item_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """The patch scores as they are."""
        return patch_scores


@dataclass(frozen=True)
class PixelProtocol:
    """Items are all pixels of a frame; a pixel's score is the mean over its patches."""

    stride_px: int
    name: str = "pixel"

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """The grid of the edge."""
        return PatchGrid(frame_shape, patch_px, self.stride_px)

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """The mask."""
        return mask

    def item_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """The score map, shape of the frame."""
        return grid.to_pixels(patch_scores)


def cropped(image: NDArray, grid: PatchGrid) -> NDArray:
    """The upper left part of a frame that the grid covers."""
    height, width = grid.frame_shape
    return image[:height, :width]


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
    patch_scores
        Scores `(len(grid),)` by name.
    """

    files: MaskedFrame
    anomalous_px: int
    grid: PatchGrid
    labels: Mask
    patch_scores: Mapping[str, Scores]

    def items(self, protocol: EvaluationProtocol, score: str) -> FrameItems:
        """Scores of the items, sorted."""
        return frame_items(protocol.item_scores(self.grid, self.patch_scores[score]), self.labels)


def score_frames(
    scorer: MultiScorer,
    frames: Iterable[MaskedFrame],
    protocols: Sequence[EvaluationProtocol],
    floors: Floors | None = None,
) -> dict[str, list[ScoredFrame]]:
    """Score every frame under every protocol, by the name of the protocol."""
    patch_px = scorer.bundle.manifest.input.patch_px
    scored: dict[str, list[ScoredFrame]] = {protocol.name: [] for protocol in protocols}
    for files in frames:
        image, mask = files.read(patch_px)
        height, width = image.shape
        for protocol in protocols:
            grid = protocol.grid((height, width), patch_px)
            patches = grid.cut(cropped(image, grid))
            scores = scorer.score(patches)
            if floors is not None:
                scores |= floors.floor_scores(patches)
            labels = protocol.labels(grid, mask)
            scored[protocol.name].append(ScoredFrame(files, int(mask.sum()), grid, labels, scores))
    return scored


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
        Over frames, a frame's score being that of its highest patch; a frame is anomalous if any
        pixel of its mask is set. At the calibrated threshold only in the pixel protocol, whose
        patches are those that the threshold was made for.
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
        items = [frame.items(protocol, score) for frame in scored]
        frames = [_frame_as_item(frame, score) for frame in scored]
        frame_threshold = threshold if isinstance(protocol, PixelProtocol) else None
        rows.append(
            Row(score, measure(items, threshold, seed), measure(frames, frame_threshold, seed))
        )
    return rows


def _frame_as_item(frame: ScoredFrame, score: str) -> FrameItems:
    highest = frame.patch_scores[score].max(keepdims=True)
    return frame_items(highest, np.array([frame.anomalous_px > 0]))
