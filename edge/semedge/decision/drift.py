"""Drift: whether normal material still scores as it did for the calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from semedge.core.section import Section
from semedge_calibration import Calibration, binomial_tail, lag_1_correlation

DriftTest = Literal["alarm-rate", "score-distribution"]
DRIFT_TESTS: tuple[DriftTest, ...] = get_args(DriftTest)

CUTS = ("0.05", "0.25", "0.75", "0.95")
"""Quantiles of the calibration's normal scores between which scores are counted."""

LEAST_EFFECTIVE = 20
"""Independent frames below which a window is too small for a test."""


class DriftSettings(Section):
    """`[drift]`: when the scores differ from those of the calibration."""

    window_frames: int = Field(
        default=1000, ge=50, le=1_000_000, description="Frames that are tested together."
    )
    significance: float = Field(
        default=1e-4,
        gt=0,
        lt=0.01,
        description="Largest probability, for each test, that a window of unchanged material "
        "counts as drift.",
    )
    end_above: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="The drift is over with a window whose p-value is above this.",
    )

    @model_validator(mode="after")
    def _ends_where_it_does_not_start(self) -> DriftSettings:
        if self.end_above < self.significance:
            raise ValueError("end_above must not be below significance")
        return self


@dataclass(frozen=True)
class Finding:
    """The result of one test of a window.

    Attributes
    ----------
    test
        Name of the test.
    p_value
        Probability of a window that differs at least as much where nothing has changed.
    message
        The result as a sentence for people.
    """

    test: DriftTest
    p_value: float
    message: str


class DriftMonitor:
    """Tests windows of scores against a calibration.

    There are two tests: whether more frames alarm than the calibration guarantees (binomial,
    one-sided), and whether scores are distributed over its quantiles as its own normal scores were
    (chi-squared, two samples). Neighbouring frames are similar, so both tests use the effective
    number of independent frames, n (1 - r) / (1 + r), with the correlation r of consecutive scores.

    Parameters
    ----------
    calibration
        The calibration, with its guarantee.
    guaranteed_rate
        Share of normal frames that may alarm; None where nothing is guaranteed, because the alarm
        level is below the threshold.
    settings
        When a difference counts as drift.
    """

    def __init__(
        self, calibration: Calibration, guaranteed_rate: float | None, settings: DriftSettings
    ) -> None:
        self._guaranteed_rate = guaranteed_rate
        self._settings = settings
        self._calibrated = calibration.groups
        self._cuts = [calibration.quantiles[name] for name in CUTS if name in calibration.quantiles]
        self._shares = np.diff([0.0, *(float(name) for name in CUTS), 1.0])
        self._scores: list[float] = []
        self._alarms = 0

    def add(self, score: float, is_alarm: bool) -> tuple[Finding, ...]:
        """Add a frame; the findings of the window where the frame completes one."""
        self._scores.append(score)
        self._alarms += is_alarm
        if len(self._scores) < self._settings.window_frames:
            return ()
        findings = tuple(self._test(np.array(self._scores), self._alarms))
        self._scores.clear()
        self._alarms = 0
        return findings

    def _test(self, scores: NDArray[np.float64], alarms: int) -> list[Finding]:
        count = len(scores)
        correlation = min(max(lag_1_correlation(scores), 0.0), 0.999)
        effective = count * (1 - correlation) / (1 + correlation)
        findings = []
        if effective < LEAST_EFFECTIVE:
            return []
        if self._guaranteed_rate is not None:
            findings.append(self._test_rate(alarms, count, effective, self._guaranteed_rate))
        if len(self._cuts) == len(CUTS):
            findings.append(self._test_distribution(scores, effective))
        return findings

    def _test_rate(self, alarms: int, count: int, effective: float, rate: float) -> Finding:
        trials = math.floor(effective)
        p_value = binomial_tail(trials, rate, math.floor(alarms * effective / count))
        return Finding(
            "alarm-rate",
            p_value,
            f"{alarms:,} of the last {count:,} frames alarmed, where at most "
            f"{rate * count:,.1f} of normal ones should; either the material is not normal, or "
            "what is normal has changed: examine it, and calibrate again if it is good.",
        )

    def _test_distribution(self, scores: NDArray[np.float64], effective: float) -> Finding:
        counts = np.bincount(np.searchsorted(self._cuts, scores), minlength=len(self._shares))
        seen = counts * (effective / len(scores))
        made = self._shares * self._calibrated
        ratio = math.sqrt(self._calibrated / effective)
        statistic = float(np.sum((ratio * seen - made / ratio) ** 2 / (seen + made)))
        median = float(np.median(scores))
        inside = "inside" if self._cuts[1] <= median <= self._cuts[2] else "outside"
        return Finding(
            "score-distribution",
            chi_squared_tail(statistic, len(self._shares) - 1),
            f"Scores of the last {len(scores):,} frames are not distributed as those of the "
            f"calibration were (median {median:.4g}, {inside} of {self._cuts[1]:.4g} to "
            f"{self._cuts[2]:.4g}, where half of them were); check light and focus, and calibrate "
            "again if the material is good.",
        )


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """P(X > statistic) of a chi-squared variable with an even number of degrees of freedom.

    exp(-x/2) times the sum over k < degrees/2 of (x/2)^k / k!
    """
    if degrees % 2 or degrees < 2:
        raise ValueError(f"degrees must be even and above 0. Received: {degrees}")
    half = max(statistic, 0.0) / 2
    terms: Sequence[float] = [
        k * math.log(half) - math.lgamma(k + 1) if half > 0 else (0.0 if k == 0 else -math.inf)
        for k in range(degrees // 2)
    ]
    peak = max(terms)
    total = peak + math.log(sum(math.exp(term - peak) for term in terms))
    return min(1.0, math.exp(total - half))
