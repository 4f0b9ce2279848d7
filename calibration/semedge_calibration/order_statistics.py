"""Which of n normal scores becomes the threshold, and what rate that proves.

The k-th largest of n exchangeable normal scores is exceeded by a share of normal frames that is
distributed Beta(k, n + 1 - k) where scores are continuous, and by no more where they have ties.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from semedge_calibration.binomial import log_binomial_cdf
from semedge_calibration.errors import CalibrationError

Method = Literal["tolerance", "conformal"]
METHODS: tuple[Method, ...] = get_args(Method)

MIN_RATE = 1e-12
BISECTIONS = 100


def check_settings(false_alarm_rate: float, confidence: float, method: str) -> None:
    """Raise `CalibrationError` where a setting is out of range."""
    if method not in METHODS:
        raise CalibrationError(f"method must be one of {', '.join(METHODS)}. Received: {method!r}")
    if not MIN_RATE <= false_alarm_rate < 1:
        raise CalibrationError(
            f"The false-alarm rate must lie between 0 and 1, such as 0.01. "
            f"Received: {false_alarm_rate}"
        )
    if not 0 < confidence < 1:
        raise CalibrationError(
            f"The confidence must lie between 0 and 1, such as 0.95. Received: {confidence}"
        )


def tolerance_rank(n: int, false_alarm_rate: float, confidence: float) -> int:
    """Largest k with P(Bin(n, rate) <= k - 1) <= 1 - confidence; 0 where there is none.

    With the k-th largest score as threshold, the true false-alarm rate is at most the
    requested one, with this confidence over calibration sets.
    """
    tails = log_binomial_cdf(n, false_alarm_rate)
    return int(np.searchsorted(tails, math.log1p(-confidence), side="right"))


def conformal_rank(n: int, false_alarm_rate: float) -> int:
    """Largest k with k / (n + 1) <= rate; 0 where there is none.

    The k-th largest score is the ceil((n + 1)(1 - rate))-th smallest. The rate is read as the
    decimal that was requested, so that the result for 100 frames at 0.01 does not depend on
    rounding.
    """
    return math.floor((n + 1) * Fraction(str(float(false_alarm_rate))))


def threshold_rank(n: int, false_alarm_rate: float, confidence: float, method: Method) -> int:
    """Rank, from the largest, of the score that is the threshold; 0 where n is too small."""
    if method == "conformal":
        return conformal_rank(n, false_alarm_rate)
    return tolerance_rank(n, false_alarm_rate, confidence)


def frames_needed(false_alarm_rate: float, confidence: float, method: Method) -> int:
    """Fewest independent normal frames that can prove this rate.

    Examples
    --------
    >>> frames_needed(0.01, 0.95, "tolerance"), frames_needed(0.01, 0.95, "conformal")
    (299, 99)
    """
    check_settings(false_alarm_rate, confidence, method)
    if method == "conformal":
        return math.ceil(1 / Fraction(str(float(false_alarm_rate)))) - 1
    log_pass, log_doubt = math.log1p(-false_alarm_rate), math.log1p(-confidence)
    n = max(1, math.floor(log_doubt / log_pass))
    while n * log_pass > log_doubt:
        n += 1
    return n


def best_provable_rate(n: int, confidence: float, method: Method) -> float:
    """Smallest false-alarm rate that n independent normal frames can prove.

    Examples
    --------
    >>> round(best_provable_rate(40, 0.95, "tolerance"), 4)
    0.0722
    """
    if method == "conformal":
        return 1 / (n + 1)
    return -math.expm1(math.log1p(-confidence) / n)


def proved_rate(
    n: int, rank: int, false_alarm_rate: float, confidence: float, method: Method
) -> float:
    """The rate that the k-th largest of n scores proves; at most the rate that led to this rank.

    For the tolerance limit this is the `confidence` quantile of Beta(k, n + 1 - k), found by
    bisection from above, so that rounding never overstates what is proved.
    """
    if method == "conformal":
        return min(rank / (n + 1), false_alarm_rate)
    log_doubt = math.log1p(-confidence)
    too_low, proved = 0.0, false_alarm_rate
    for _ in range(BISECTIONS):
        middle = (too_low + proved) / 2
        if not too_low < middle < proved:
            break
        if log_binomial_cdf(n, middle, rank - 1)[-1] <= log_doubt:
            proved = middle
        else:
            too_low = middle
    return proved


def p_value(score: float, normal_scores: ArrayLike) -> float:
    """(1 + number of normal scores >= score) / (n + 1), valid on average over calibrations."""
    scores = np.asarray(normal_scores, dtype=np.float64)
    return float((1 + np.count_nonzero(scores >= score)) / (scores.size + 1))
