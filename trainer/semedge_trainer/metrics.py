"""How well scores tell anomalous items, be they patches, pixels or frames, from normal ones.

Everything is exact, by sorting, and needs four bytes an item; only the bootstrap works on
histograms. What cannot be told, such as the recall where nothing is anomalous, is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Sorted = NDArray[np.float32]

RESAMPLES = 200
HALF_BINS = 1000
"""Quantiles of the anomalous and of the normal scores that bound the bootstrap's bins."""


@dataclass(frozen=True)
class OperatingPoint:
    """What comes of one threshold; an item is flagged if its score is strictly above it."""

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    false_alarm_share: float | None


@dataclass(frozen=True)
class Measures:
    """Metrics over the items of all frames.

    Attributes
    ----------
    items, anomalous
        Number of items, and of those that are anomalous.
    auroc, auroc_interval
        Area under the ROC curve, with its 95 % bootstrap interval over frames.
    average_precision
        Sum over thresholds of the precision times the step in recall.
    oracle
        At the threshold of the best F1, which only the masks tell.
    calibrated
        At the threshold that was set from normal frames, where there is one.
    """

    items: int
    anomalous: int
    auroc: float | None
    auroc_interval: tuple[float, float] | None
    average_precision: float | None
    oracle: OperatingPoint | None
    calibrated: OperatingPoint | None


@dataclass(frozen=True)
class FrameItems:
    """Sorted scores of one frame's items."""

    anomalous: Sorted
    normal: Sorted


def frame_items(scores: NDArray[np.float32], anomalous: NDArray[np.bool_]) -> FrameItems:
    """Sort the scores of a frame's items apart; both arrays have the same shape."""
    return FrameItems(np.sort(scores[anomalous]), np.sort(scores[~anomalous]))


def measure(
    frames: Sequence[FrameItems], threshold: float | None = None, seed: int = 0
) -> Measures:
    """Every metric over the items of all frames together.

    Parameters
    ----------
    frames
        The items, frame by frame.
    threshold
        The calibrated threshold, if there is one.
    seed
        Of the bootstrap.
    """
    anomalous = np.sort(np.concatenate([frame.anomalous for frame in frames]))
    normal = np.sort(np.concatenate([frame.normal for frame in frames]))
    average_precision, oracle = _precision_recall(anomalous, normal)
    return Measures(
        items=len(anomalous) + len(normal),
        anomalous=len(anomalous),
        auroc=_auroc(anomalous, normal),
        auroc_interval=_bootstrap(frames, _bin_edges(anomalous, normal), seed),
        average_precision=average_precision,
        oracle=oracle,
        calibrated=None if threshold is None else operating_point(anomalous, normal, threshold),
    )


def operating_point(anomalous: Sorted, normal: Sorted, threshold: float) -> OperatingPoint:
    """Precision, recall, F1 and share of false alarms at a threshold."""
    hits = len(anomalous) - int(np.searchsorted(anomalous, threshold, "right"))
    alarms = len(normal) - int(np.searchsorted(normal, threshold, "right"))
    defined = len(anomalous) > 0
    return OperatingPoint(
        threshold=threshold,
        precision=hits / (hits + alarms) if defined and hits + alarms else None,
        recall=hits / len(anomalous) if defined else None,
        f1=2 * hits / (hits + alarms + len(anomalous)) if defined else None,
        false_alarm_share=alarms / len(normal) if len(normal) else None,
    )


def _auroc(anomalous: Sorted, normal: Sorted) -> float | None:
    """Probability that an anomalous item scores above a normal one; ties count one half."""
    if not len(anomalous) or not len(normal):
        return None
    below = np.searchsorted(normal, anomalous, "left").sum(dtype=np.int64)
    not_above = np.searchsorted(normal, anomalous, "right").sum(dtype=np.int64)
    return float((below + not_above) / (2.0 * len(anomalous) * len(normal)))


def _precision_recall(
    anomalous: Sorted, normal: Sorted
) -> tuple[float | None, OperatingPoint | None]:
    """Average precision and the point of the best F1.

    Only scores of anomalous items matter: between two of them recall is constant, and precision
    is highest just below the upper one.
    """
    if not len(anomalous):
        return None, None
    levels = np.unique(anomalous)
    hits = len(anomalous) - np.searchsorted(anomalous, levels, "left")
    alarms = len(normal) - np.searchsorted(normal, levels, "left")
    steps = hits - np.append(hits[1:], 0)
    average_precision = float((steps * (hits / (hits + alarms))).sum() / len(anomalous))
    best = int(np.argmax(2 * hits / (hits + alarms + len(anomalous))))
    just_below = np.nextafter(levels[best], np.float32(-np.inf))
    return average_precision, operating_point(anomalous, normal, float(just_below))


def _bin_edges(anomalous: Sorted, normal: Sorted) -> Sorted:
    parts = [
        part[np.linspace(0, len(part) - 1, HALF_BINS).astype(np.intp)]
        for part in (anomalous, normal)
        if len(part)
    ]
    return np.unique(np.concatenate(parts))


def _bootstrap(
    frames: Sequence[FrameItems], edges: Sorted, seed: int
) -> tuple[float, float] | None:
    """95 % interval of the AUROC over resamples of the frames, None where it is not defined."""
    anomalous = np.stack([_histogram(frame.anomalous, edges) for frame in frames])
    normal = np.stack([_histogram(frame.normal, edges) for frame in frames])
    if len(frames) < 2 or not anomalous.any() or not normal.any():
        return None
    random = np.random.default_rng(seed)
    counts = random.multinomial(len(frames), np.full(len(frames), 1 / len(frames)), RESAMPLES)
    above, below = counts @ anomalous, counts @ normal
    pairs = above.sum(axis=1) * below.sum(axis=1)
    won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    values = won[pairs > 0] / pairs[pairs > 0]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _histogram(values: Sorted, edges: Sorted) -> NDArray[np.float64]:
    """Number of values up to each edge and above the one before, shape `(len(edges) + 1,)`."""
    up_to = np.searchsorted(values, edges, "right")
    return np.diff(up_to, prepend=0, append=len(values)).astype(np.float64)
