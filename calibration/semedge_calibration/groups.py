"""Groups of dependent scores, each of which counts once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semedge_calibration.errors import CalibrationError

MIN_SCORES_TO_CORRELATE = 10
STANDARD_ERRORS = 2.0


def group_maxima(scores: ArrayLike, groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """Largest score of each group, in the order in which the groups appear."""
    values = np.asarray(scores, dtype=np.float64)
    if len(groups) != values.size:
        raise CalibrationError(
            f"There must be one group for each score. Received: {len(groups)} groups for "
            f"{values.size} scores"
        )
    largest: dict[Hashable, float] = {}
    for group, score in zip(groups, values.tolist(), strict=True):
        largest[group] = max(score, largest.get(group, score))
    return np.array(list(largest.values()))


def lag_1_correlation(scores: ArrayLike) -> float:
    """Autocorrelation of consecutive scores in [-1, 1]; 1 where all are the same."""
    values = np.asarray(scores, dtype=np.float64)
    deviations = values - values.mean()
    # Scaling first keeps the squares of very small and very large scores finite and nonzero.
    spread = np.abs(deviations).max()
    if not spread > 0:
        return 1.0
    deviations = deviations / spread
    return float((deviations[1:] @ deviations[:-1]) / (deviations @ deviations))


def correlation_warning(scores: ArrayLike) -> str | None:
    """A sentence where consecutive scores are too alike to be independent, else None.

    The limit is 2 / sqrt(n), two standard errors of independent scores; fewer than ten scores
    are not tested.
    """
    n = np.asarray(scores).size
    if n < MIN_SCORES_TO_CORRELATE:
        return None
    correlation = lag_1_correlation(scores)
    limit = STANDARD_ERRORS / float(np.sqrt(n))
    if correlation <= limit:
        return None
    return (
        f"consecutive scores are correlated ({correlation:.2f}, and independent ones stay below "
        f"{limit:.2f}), so the guarantee may not hold"
    )
