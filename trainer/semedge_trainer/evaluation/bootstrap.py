"""Bootstrap intervals over frames, on histograms of the scores.

Frames are drawn, not their pixels: neighbouring pixels share their patches and their fibres, so
an interval over pixels would be far too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge_trainer.evaluation.aupro import area_up_to
from semedge_trainer.evaluation.samples import FrameSamples, Sorted

Counts = NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES = 200
HALF_BINS = 1000
"""Quantiles of the anomalous and of the normal scores that bound the bins."""


@dataclass(frozen=True)
class Intervals:
    """95 % intervals; None where a metric is not defined."""

    auroc: Interval | None = None
    average_precision: Interval | None = None
    best_f1: Interval | None = None
    aupro: Interval | None = None


def bootstrap(
    frames: Sequence[FrameSamples],
    anomalous: Sorted,
    normal: Sorted,
    seed: int,
    normal_weight: float,
) -> Intervals:
    """Intervals over resamples of the frames; none for fewer than two.

    Parameters
    ----------
    frames
        The samples, frame by frame.
    anomalous, normal
        Scores of all frames, ascending.
    seed
        Seed of the resamples.
    normal_weight
        What a normal sample counts where an anomalous one counts one.
    """
    if len(frames) < 2 or not len(anomalous) or not len(normal):
        return Intervals()
    return Histograms.of(frames, anomalous, normal, normal_weight).intervals(seed)


@dataclass(frozen=True)
class Histograms:
    """Samples of each frame by bins of the score, from the highest bin down.

    Attributes
    ----------
    anomalous, normal
        Number of samples, shape `(frames, bins)`, the normal ones weighted.
    shares
        Sum of the region shares, of the same shape; None where samples have no regions.
    """

    anomalous: Counts
    normal: Counts
    shares: Counts | None

    @classmethod
    def of(
        cls,
        frames: Sequence[FrameSamples],
        anomalous: Sorted,
        normal: Sorted,
        normal_weight: float,
    ) -> Histograms:
        """Bin the samples of the frames; `anomalous` and `normal` are all scores, ascending."""
        edges = score_levels(anomalous, normal)
        shares = None
        if all(frame.region_shares is not None for frame in frames):
            shares = np.stack([_share_sums(frame, edges) for frame in frames])
        return cls(
            np.stack([_histogram(frame.anomalous, edges) for frame in frames]),
            normal_weight * np.stack([_histogram(frame.normal, edges) for frame in frames]),
            shares,
        )

    def intervals(self, seed: int) -> Intervals:
        """Intervals over 200 resamples of the frames."""
        frames = len(self.anomalous)
        random = np.random.default_rng(seed)
        draws = random.multinomial(frames, np.full(frames, 1 / frames), RESAMPLES)
        anomalous, normal = draws @ self.anomalous, draws @ self.normal
        defined = anomalous.any(axis=1) & normal.any(axis=1)
        draws, anomalous, normal = draws[defined], anomalous[defined], normal[defined]
        hits, alarms = np.cumsum(anomalous, axis=1), np.cumsum(normal, axis=1)
        all_hits, all_alarms = hits[:, -1:], alarms[:, -1:]
        flagged = np.maximum(hits + alarms, 1.0)
        won = (anomalous * (all_alarms - alarms + normal / 2)).sum(axis=1)
        aupro = None
        if self.shares is not None:
            overlap = np.cumsum(draws @ self.shares, axis=1)
            aupro = _interval(
                [
                    area_up_to(fpr, pro / pro[-1])
                    for fpr, pro in zip(alarms / all_alarms, overlap, strict=True)
                ]
            )
        return Intervals(
            auroc=_interval(won / (all_hits * all_alarms)[:, 0]),
            average_precision=_interval((anomalous * hits / flagged).sum(axis=1) / all_hits[:, 0]),
            best_f1=_interval((2 * hits / (hits + alarms + all_hits)).max(axis=1)),
            aupro=aupro,
        )


def _interval(values: Sequence[float] | Counts) -> Interval | None:
    if not len(values):
        return None
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def score_levels(*kinds: Sorted) -> Sorted:
    """At most 1,000 quantiles of each of several ascending arrays of scores, ascending."""
    parts = [kind[np.linspace(0, len(kind) - 1, HALF_BINS).astype(np.intp)] for kind in kinds]
    return np.unique(np.concatenate(parts))


def _histogram(values: Sorted, edges: Sorted) -> Counts:
    """Number of values up to each edge and above the one before, `(len(edges) + 1,)`, reversed."""
    up_to = np.searchsorted(values, edges, "right")
    return np.diff(up_to, prepend=0, append=len(values)).astype(np.float64)[::-1]


def _share_sums(frame: FrameSamples, edges: Sorted) -> Counts:
    bins = np.searchsorted(edges, frame.anomalous, "left")
    sums = np.bincount(bins, frame.region_shares, minlength=len(edges) + 1)
    return sums.astype(np.float64)[::-1]
