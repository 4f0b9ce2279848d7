"""What a cell of the ablation measures: its detector's default score, on the same patches each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.learning.sequences import Subset, evenly
from semedge_trainer.ablation.plan import CellSettings
from semedge_trainer.evaluation.label_sample import LabelSample
from semedge_trainer.evaluation.masks import MaskedFrame
from semedge_trainer.evaluation.metrics import Metrics
from semedge_trainer.evaluation.protocols import ThesisProtocol
from semedge_trainer.evaluation.results import evaluate_frames
from semedge_trainer.evaluation.scored_frames import PatchSubset
from semedge_trainer.evaluation.scorer import AnyScorer, Scores

if TYPE_CHECKING:
    from semedge_trainer.training.run import Run

SAMPLE_SEED = 0
"""Seed of the sample of patches and of the search: the same for every cell."""
FALSE_ALARM_SHARE = 0.01
"""Share of the patches of normal frames above the calibrated threshold."""
NORMAL_FRAMES_SHARE = 1 / 3
"""Patches of the normal frames that are searched for the threshold, as a share of the sample."""


@dataclass(frozen=True)
class Measured:
    """The name of a score, and how well it separates anomalous patches."""

    score: str
    metrics: Metrics


def measure_run(
    run: Run,
    settings: CellSettings,
    frames: Sequence[MaskedFrame],
    normal: Sequence[GrayImage],
    threads: int,
) -> Measured:
    """Measure the default score of a finished run.

    Parameters
    ----------
    run
        The cell's.
    settings
        How much of the frames to measure, and by what.
    frames
        With their masks.
    normal
        The frames that were trained on, which the threshold is set by: the thesis has no others.
    threads
        Cores that score.
    """
    if settings.search_steps is not None:
        return _measure_search(run, settings, settings.search_steps, frames, normal)
    subset = PatchSubset.about(settings.patches, len(frames), SAMPLE_SEED)
    with _scorer(run, settings, threads) as scorer:
        (score,) = scorer.score_names
        patch_px = ThesisProtocol().patch_px(scorer)
        of_normal = [
            scorer.score_chosen(image, grid, chosen)[score]
            for image, grid, chosen in _chosen(normal, patch_px, subset)
        ]
        thresholds = {score: _threshold(np.concatenate(of_normal))}
        results = evaluate_frames(scorer, frames, [ThesisProtocol()], thresholds, subset=subset)
    (row,) = results["thesis"].rows
    return Measured(score, row.samples)


def _measure_search(
    run: Run,
    settings: CellSettings,
    steps: int,
    frames: Sequence[MaskedFrame],
    normal: Sequence[GrayImage],
) -> Measured:
    """Patches of all frames are searched together, in full batches; few of each are."""
    from semedge_trainer.evaluation.latent_search import SearchingScorer

    scorer = SearchingScorer(run, steps, SAMPLE_SEED, mixed_precision=settings.mixed_precision)
    count, patch_px = settings.patches, scorer.patch_px
    if count is None:
        raise ValueError("a search measures a sample of patches")
    of_normal = max(1, round(count * NORMAL_FRAMES_SHARE))
    some = Subset(normal, evenly(len(normal), of_normal))
    subset = PatchSubset.about(of_normal, len(some), SAMPLE_SEED)
    cut = [
        grid.cut_chosen(image, chosen) for image, grid, chosen in _chosen(some, patch_px, subset)
    ]
    sample = LabelSample.draw(frames, patch_px, count, SAMPLE_SEED)
    (score,) = scorer.score_names
    threshold = _threshold(scorer.score_patches(cut)[score])
    return Measured(score, sample.measure(scorer.score_patches(sample.patches)[score], threshold))


def _chosen(
    images: Sequence[GrayImage], patch_px: int, subset: PatchSubset | None
) -> Iterator[tuple[GrayImage, PatchGrid, NDArray[np.intp]]]:
    for number, image in enumerate(images):
        height, width = image.shape
        grid = ThesisProtocol().grid((height, width), patch_px)
        chosen = np.arange(len(grid)) if subset is None else subset.choose(number, len(grid))
        yield image, grid, chosen


def _threshold(scores: Scores) -> float:
    """What 1 % of the scores lie above."""
    return float(np.quantile(scores, 1 - FALSE_ALARM_SHARE, method="higher"))


def _scorer(run: Run, settings: CellSettings, threads: int) -> AbstractContextManager[AnyScorer]:
    if settings.quantization is None:
        from semedge_trainer.evaluation.network_scorer import NetworkScorer

        return nullcontext(NetworkScorer(run))
    from semedge_trainer.export.export import export_run
    from semedge_trainer.export.exporter import ExportRequest

    path = run.folder / "detector.semedge"
    request = ExportRequest(settings.quantization, only_score=True)
    export_run(run, path, request)
    return Detector.load(path, workers=threads)
