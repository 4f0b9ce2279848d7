"""The binomial distribution, by sums of logarithms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def log_binomial_cdf(trials: int, rate: float, upto: int | None = None) -> NDArray[np.float64]:
    """log P(Bin(trials, rate) <= j) for j = 0, 1, ..., upto; shape `(upto + 1,)`.

    `upto` is `trials` where None. The ratio of neighbouring terms is
    P(j) / P(j - 1) = (trials - j + 1) / j * rate / (1 - rate), so that nothing over- or underflows
    and no factorial is needed.
    """
    last = trials if upto is None else upto
    successes = np.arange(1, last + 1)
    log_ratios = np.log((trials - successes + 1) / successes) + math.log(rate) - math.log1p(-rate)
    log_terms = trials * math.log1p(-rate) + np.concatenate([[0.0], np.cumsum(log_ratios)])
    tails: NDArray[np.float64] = np.minimum(np.logaddexp.accumulate(log_terms), 0.0)
    return tails


def binomial_tail(trials: int, rate: float, least: int) -> float:
    """P(Bin(trials, rate) >= least), exact where it is small."""
    if least <= 0:
        return 1.0
    if least > trials:
        return 0.0
    # The failures are binomial too, and their lower tail has no cancellation.
    return float(math.exp(min(0.0, log_binomial_cdf(trials, 1 - rate, trials - least)[-1])))
