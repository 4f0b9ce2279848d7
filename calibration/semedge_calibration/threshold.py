"""From normal scores to a threshold with its guarantee."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from semedge_calibration.errors import CalibrationError, CalibrationRefused
from semedge_calibration.groups import group_maxima
from semedge_calibration.order_statistics import (
    Method,
    best_provable_rate,
    check_settings,
    frames_needed,
    proved_rate,
    threshold_rank,
)


@dataclass(frozen=True)
class ThresholdResult:
    """A threshold, and what it guarantees for normal frames.

    Attributes
    ----------
    threshold
        The `rank`-th largest normal score; an alarm is a score strictly above it.
    method
        `tolerance`: the rate holds with `confidence`; `conformal`: it holds on average over
        calibrations.
    false_alarm_rate
        The rate that was requested.
    confidence
        None for `conformal`.
    rank
        Rank k of the threshold, counted from the largest score.
    groups
        Number n of independent scores.
    proved_rate
        The rate that this rank proves, at most `false_alarm_rate`.
    """

    threshold: float
    method: Method
    false_alarm_rate: float
    confidence: float | None
    rank: int
    groups: int
    proved_rate: float

    def sentence(self, unit: str = "frames", assumption: str | None = None) -> str:
        """The guarantee as a sentence; `unit` names in the plural what was counted."""
        guarantee = f"at most {percent(self.false_alarm_rate)} of normal {unit} raise an alarm"
        if self.confidence is None:
            start = f"On average over calibrations, {guarantee}"
        else:
            start = f"With {percent(self.confidence)} confidence, {guarantee}"
        ground = f"proved from {self.groups:,} independent {unit}"
        return f"{start}, {ground}{f', assuming that {assumption}' if assumption else ''}."


def calibrate_threshold(
    scores: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    false_alarm_rate: float,
    confidence: float,
    method: Method,
    unit: str = "frames",
) -> ThresholdResult:
    """Threshold from the scores of normal frames.

    Parameters
    ----------
    scores
        Scores of normal frames, shape `(n,)`, finite.
    groups
        One key a score; scores with the same key are a group, which counts once, by its maximum.
    false_alarm_rate
        Share of normal frames that may raise an alarm, in (0, 1).
    confidence
        Confidence of the tolerance limit, in (0, 1); `conformal` does not use it.
    method
        `tolerance` or `conformal`.
    unit
        What has a score, in the plural, as messages name it.

    Raises
    ------
    CalibrationError
        Where there is no score, a score is not finite, or a setting is out of range.
    CalibrationRefused
        Where there are too few scores; the message names the best rate that they prove.
    """
    check_settings(false_alarm_rate, confidence, method)
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size < 1:
        raise CalibrationError(
            f"A calibration needs a list of normal scores, at least one. Received: an array of "
            f"shape {values.shape}"
        )
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        raise CalibrationError(
            f"Normal scores must be finite numbers. Received: {values[at]} at position {at}"
        )
    if groups is not None:
        values = group_maxima(values, groups)
    n = values.size
    rank = threshold_rank(n, false_alarm_rate, confidence, method)
    if rank < 1:
        raise CalibrationRefused(_refusal(n, false_alarm_rate, confidence, method, unit))
    return ThresholdResult(
        threshold=float(np.sort(values)[n - rank]),
        method=method,
        false_alarm_rate=float(false_alarm_rate),
        confidence=None if method == "conformal" else float(confidence),
        rank=rank,
        groups=n,
        proved_rate=proved_rate(n, rank, false_alarm_rate, confidence, method),
    )


def percent(share: float) -> str:
    """A share in per cent, to four digits or to as many as distinguish it from 100 %."""
    short = f"{share * 100:.4g}"
    return f"{short if short != '100' else format(share * 100, '.12g')} %"


def _refusal(n: int, rate: float, confidence: float, method: Method, unit: str) -> str:
    needed = frames_needed(rate, confidence, method)
    best = best_provable_rate(n, confidence, method)
    how = "on average" if method == "conformal" else f"at {percent(confidence)} confidence"
    shown = f"{best * 100:.2g}" if best < 0.1 else f"{best * 100:.3g}"
    found = "there is 1, which proves" if n == 1 else f"there are {n:,}, which prove"
    provable = _rounded_up(best)
    remedy = f", or request a false-alarm rate of {provable:g} or more" if provable < 1 else ""
    return (
        f"The calibration needs {needed:,} independent {unit} for {percent(rate)} {how}; "
        f"{found} {shown} % at best; calibrate on more {unit}{remedy}."
    )


def _rounded_up(rate: float) -> float:
    """`rate` to three significant digits or more, never below it in effect."""
    decimals = 2 - math.floor(math.log10(rate))
    return math.ceil(rate * 10**decimals - 1e-9) / 10**decimals
