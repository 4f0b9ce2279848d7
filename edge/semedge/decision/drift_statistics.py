"""The statistics of drift: counts of a window, given the calibration's own number of scores."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

GRID_POINTS = 4_001
LARGEST_LOGIT = 30.0
CACHED_WEIGHTS = 32
"""Arrays of 32 kB that are kept: enough for those of the calibration, which every window needs."""


def count_tail(
    least: int, trials: int, first: float, second: float, exponent: float = 1.0
) -> float:
    """P(X >= least), for X binomial with a probability that is itself not known.

    The threshold is the k-th largest of n scores, so that the probability p of a score above it
    differs from calibration to calibration by the distribution Beta(k, n + 1 - k). X counts the
    frames, each of `exponent` such scores, with at least one above it.

    Parameters
    ----------
    least, trials
        The count, and the number of independent frames.
    first, second
        The parameters of the distribution of p.
    exponent
        Scores of which a frame has the highest: 1 - (1 - p)^exponent of the frames are above.
    """
    if least <= 0:
        return 1.0
    if least > trials:
        return 0.0
    logits, rates = _grid()
    weights = _beta_weights(first, second)
    # P(Bin(m, x) >= a) is the distribution function of Beta(a, m + 1 - a) at x.
    density = _beta_weights(least, trials + 1 - least)
    tail = np.cumsum(density) - density / 2
    if exponent != 1.0:
        above = -np.expm1(exponent * np.log1p(-rates))
        above = np.clip(above, rates[0], rates[-1])
        tail = np.interp(np.log(above) - np.log1p(-above), logits, tail)
    return min(1.0, float(tail @ weights))


def effective_count(scores: NDArray[np.float64]) -> float:
    """Number of independent scores that tell as much as these, which resemble their neighbours.

    n / tau, with the integrated autocorrelation time tau = 1 + 2 (r_1 + r_2 + ...) by Geyer's
    initial positive sequence, and at least that of a first-order process with the same r_1.
    """
    count = len(scores)
    deviations = scores - scores.mean()
    if not deviations.any():
        return 0.0
    deviations = deviations / np.abs(deviations).max()
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(deviations, size)
    covariances = np.fft.irfft(spectrum * np.conj(spectrum), size)[:count]
    correlations = covariances / covariances[0]
    pairs = correlations[: count - count % 2].reshape(-1, 2).sum(axis=1)
    positive = np.argmax(pairs <= 0) if (pairs <= 0).any() else len(pairs)
    sequence = 2 * float(pairs[:positive].sum()) - 1
    first = min(max(float(correlations[1]), 0.0), 1 - 1 / count)
    return count / max(1.0, sequence, (1 + first) / (1 - first))


@lru_cache(maxsize=1)
def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities and their logits, closely spaced at both ends."""
    logits = np.linspace(-LARGEST_LOGIT, LARGEST_LOGIT, GRID_POINTS)
    return logits, np.exp(-np.logaddexp(0.0, -logits))


@lru_cache(maxsize=CACHED_WEIGHTS)
def _beta_weights(first: float, second: float) -> NDArray[np.float64]:
    """Share of a Beta distribution at each point of the grid."""
    logits, _ = _grid()
    logs = -first * np.logaddexp(0.0, -logits) - second * np.logaddexp(0.0, logits)
    logs += math.lgamma(first + second) - math.lgamma(first) - math.lgamma(second)
    weights: NDArray[np.float64] = np.exp(logs) * (logits[1] - logits[0])
    return weights
