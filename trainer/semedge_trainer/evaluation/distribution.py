"""How the scores of anomalous and of normal samples lie, in a few thousand numbers to draw from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge_trainer.evaluation.bootstrap import score_levels
from semedge_trainer.evaluation.samples import Sorted

BINS = 80
OUTLIER_SHARE = 1e-3
"""Share of the scores of a kind, at each end, that the outer bin holds."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Distribution:
    """Counts of samples by their scores.

    Attributes
    ----------
    hits, alarms
        Anomalous and normal samples at or above each of several ascending levels.
    edges
        Edges of bins of equal width, `(bins + 1,)`; the outer bins also hold what lies beyond.
    anomalous, normal
        Samples in each bin, `(bins,)`.
    """

    hits: Counts
    alarms: Counts
    edges: NDArray[np.float64]
    anomalous: Counts
    normal: Counts

    @classmethod
    def of(cls, anomalous: Sorted, normal: Sorted) -> Distribution:
        """Count the scores, both ascending; either may be empty."""
        kinds = [kind for kind in (anomalous, normal) if len(kind)]
        levels = score_levels(*kinds)
        ends = np.concatenate([np.quantile(k, (OUTLIER_SHARE, 1 - OUTLIER_SHARE)) for k in kinds])
        edges = np.histogram_bin_edges(ends, BINS)
        return cls(
            len(anomalous) - np.searchsorted(anomalous, levels, "left"),
            len(normal) - np.searchsorted(normal, levels, "left"),
            edges,
            _in_bins(anomalous, edges),
            _in_bins(normal, edges),
        )


def _in_bins(values: Sorted, edges: NDArray[np.float64]) -> Counts:
    below = np.searchsorted(values, edges[1:-1], "left")
    return np.diff(below, prepend=0, append=len(values))
