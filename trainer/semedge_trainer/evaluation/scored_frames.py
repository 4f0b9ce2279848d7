"""A detector measured on frames with masks: every frame scored once, then every score measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.inference.grid import PatchGrid
from semedge_trainer.evaluation.baselines import Baselines
from semedge_trainer.evaluation.distribution import Distribution
from semedge_trainer.evaluation.masks import MaskedFrame
from semedge_trainer.evaluation.metrics import Metrics, measure
from semedge_trainer.evaluation.protocols import EvaluationProtocol, Mask, PixelProtocol
from semedge_trainer.evaluation.samples import FrameSamples, frame_samples, pooled
from semedge_trainer.evaluation.scorer import AnyScorer, Scores


@dataclass(frozen=True)
class PatchSubset:
    """A seeded choice of patches, for scores that are too slow for all of them."""

    patches_a_frame: int
    seed: int

    @classmethod
    def about(cls, patches: int | None, frames: int, seed: int) -> PatchSubset | None:
        """About `patches` in all, as many of each of the frames; None where all are wanted."""
        return None if patches is None else cls(max(1, patches // frames), seed)

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
        Which samples are anomalous.
    regions
        Number of the connected region of each anomalous sample; None where samples are no pixels.
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

    def samples(self, protocol: EvaluationProtocol, score: str) -> FrameSamples:
        """Scores of the samples, sorted."""
        scores = protocol.sample_scores(self.grid, self.patch_scores[score])
        return frame_samples(scores, self.labels, self.regions)

    def part_samples(self, score: str) -> FrameSamples:
        """Scores of the parts, each that of its highest patch."""
        scores = self.patch_scores[score]
        highest = np.array([scores[part.patches].max() for part in self.parts], np.float32)
        return frame_samples(highest, np.array([part.anomalous for part in self.parts], bool))


def score_frames(
    scorer: AnyScorer,
    frames: Iterable[MaskedFrame],
    protocols: Sequence[EvaluationProtocol],
    baselines: Baselines | None = None,
    subset: PatchSubset | None = None,
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
        Which samples to score.
    baselines
        Scores to add that need no detector.
    subset
        Score these patches only, in protocols whose samples are patches.
    fields_px
        Width and height of the fields that a frame is judged by; the whole frame where None.
    """
    scored: dict[str, list[ScoredFrame]] = {protocol.name: [] for protocol in protocols}
    for number, files in enumerate(frames):
        frame, mask = files.read(scorer.patch_px)
        for protocol in protocols:
            grid = protocol.grid(frame.shape, protocol.patch_px(scorer))
            labels = protocol.labels(grid, mask)
            chosen = np.arange(len(grid))
            if subset is not None:
                chosen = subset.choose(number, len(grid))
                labels = labels[chosen]
            scores = scorer.score_chosen(frame.picture, grid, chosen)
            if baselines is not None:
                scores |= baselines.scores(grid.cut_chosen(frame.image, chosen))
            parts = () if subset else tuple(parts_of(grid, mask, fields_px))
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
class ScoreMetrics:
    """What was measured of one score.

    Attributes
    ----------
    score
        Its name.
    samples
        Over patches or pixels, as the protocol says.
    frames
        Over frames or their fields, the score being that of the highest patch; anomalous if any
        pixel of the mask is set. Here normal frames without a mask count too. At the calibrated
        threshold only in the pixel protocol, whose patches are those that the threshold was made
        for.
    distribution
        Distribution of the scores of the samples.
    """

    score: str
    samples: Metrics
    frames: Metrics
    distribution: Distribution


def measure_scores(
    protocol: EvaluationProtocol,
    scored: Sequence[ScoredFrame],
    thresholds: Mapping[str, float],
    seed: int = 0,
) -> list[ScoreMetrics]:
    """One row a score; `thresholds` holds the calibrated ones by score."""
    rows = []
    for score in scored[0].patch_scores:
        threshold = thresholds.get(score)
        samples = [frame.samples(protocol, score) for frame in scored if frame.files.masked]
        frames = [frame.part_samples(score) for frame in scored]
        frame_threshold = threshold if isinstance(protocol, PixelProtocol) else None
        rows.append(
            ScoreMetrics(
                score,
                measure(samples, threshold, seed),
                measure(frames, frame_threshold, seed),
                Distribution.of(*pooled(samples)),
            )
        )
    return rows
