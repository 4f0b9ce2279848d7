"""Drift: whether normal material still scores as it did for the calibration."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from semedge.core.section import Section
from semedge.decision.drift_statistics import count_tail, effective_count
from semedge_calibration import Calibration

DriftTest = Literal["alarm-rate", "score-distribution"]
DRIFT_TESTS: tuple[DriftTest, ...] = get_args(DriftTest)

CUTS = ("0.05", "0.25", "0.75", "0.95")
"""Quantiles of the calibration's normal scores below and above which scores are counted."""

LEAST_EFFECTIVE = 20
"""Independent frames below which a window is too small for a test, and is made longer."""

LONGEST_WINDOWS = 32
"""Windows that are joined at most, where frames resemble their neighbours."""

SPENT = 10.0
"""Each event divides the significance of the next one by this: one unlucky calibration has few."""

YEAR_S = 365.25 * 86_400.0


class DriftSettings(Section):
    """`[drift]`: when the scores differ from those of the calibration."""

    window_frames: int = Field(
        default=1000, ge=50, le=1_000_000, description="Frames that are tested together."
    )
    false_events_per_year: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="Largest number of drift events in a year of unchanged material, on average; "
        "each window gets the share of it that it lasts.",
    )
    significance: float | None = Field(
        default=None,
        gt=0,
        lt=0.01,
        description="In place of `false_events_per_year`: largest probability, for each test, that "
        "a window of unchanged material counts as drift.",
    )
    end_above: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="The drift is over with a window whose p-value is above this.",
    )

    @model_validator(mode="after")
    def _ends_where_it_does_not_start(self) -> DriftSettings:
        if self.significance is not None and self.end_above < self.significance:
            raise ValueError("end_above must not be below significance")
        return self

    def significance_of(self, window_s: float) -> float:
        """Largest p-value that counts as drift, for each test, of a window that lasted so long."""
        if self.significance is not None:
            return self.significance
        share = self.false_events_per_year * window_s / YEAR_S / len(DRIFT_TESTS)
        return min(share, self.end_above)


@dataclass(frozen=True)
class Finding:
    """The result of one test of a window.

    Attributes
    ----------
    test
        Name of the test.
    p_value
        Probability of a window that differs at least as much where nothing has changed.
    significance
        Largest p-value that counts as drift.
    message
        The result as a sentence for people.
    """

    test: DriftTest
    p_value: float
    significance: float
    message: str

    @property
    def is_drift(self) -> bool:
        """Whether the window counts as drift."""
        return self.p_value < self.significance


class DriftMonitor:
    """Tests windows of scores against a calibration.

    There are two tests: whether more frames alarm than the calibration explains, and whether more
    or fewer scores lie below its quantiles. Both count with what the calibration knows: the share
    above the k-th largest of n scores is distributed as Beta(k, n + 1 - k), so that a calibration
    of few scores is given more room. A calibration of fields counts fields: a frame alarms where
    one of its fields does. Neighbouring frames are similar, so both tests use the effective number
    of independent frames; where that is small, windows are joined. Each event lowers the
    significance of the next one, until the setup changes.

    Parameters
    ----------
    calibration
        The calibration, with its guarantee.
    guaranteed
        Whether the guarantee holds: it does not where the alarm level is below the threshold.
    settings
        When a difference counts as drift.
    fields_a_frame
        Areas of the calibration's shape in a frame; at least 1.
    """

    def __init__(
        self,
        calibration: Calibration,
        guaranteed: bool,
        settings: DriftSettings,
        fields_a_frame: float = 1.0,
    ) -> None:
        self._guaranteed = guaranteed
        self._settings = settings
        self._fields = max(1.0, fields_a_frame)
        self._rank, self._groups = calibration.rank, calibration.groups
        self._rate = calibration.false_alarm_rate
        self._cuts = {
            float(name): calibration.quantiles[name]
            for name in CUTS
            if name in calibration.quantiles
        }
        self._events = dict.fromkeys(DRIFT_TESTS, 0)
        self._ongoing: set[DriftTest] = set()
        self._scores: list[float] = []
        self._alarms = 0
        self._began_s: float | None = None

    def add(self, score: float, is_alarm: bool, at_s: float | None = None) -> tuple[Finding, ...]:
        """Add a frame; the findings of the window where the frame completes one.

        `at_s` is the time of the frame by the monotonic clock, now where None.
        """
        at_s = time.monotonic() if at_s is None else at_s
        if self._began_s is None:
            self._began_s = at_s
        self._scores.append(score)
        self._alarms += is_alarm
        if len(self._scores) % self._settings.window_frames:
            return ()
        scores = np.array(self._scores)
        trials = math.floor(effective_count(scores))
        if trials < LEAST_EFFECTIVE:
            if len(self._scores) >= LONGEST_WINDOWS * self._settings.window_frames:
                self._restart(at_s)
            return ()
        significance = self._settings.significance_of(at_s - self._began_s)
        findings = tuple(self._test(scores, self._alarms, trials, significance))
        for finding in findings:
            self._spend(finding)
        self._restart(at_s)
        return findings

    def _spend(self, finding: Finding) -> None:
        """Count events, each of which lowers the significance of the next one."""
        if finding.p_value > self._settings.end_above:
            self._ongoing.discard(finding.test)
        elif finding.is_drift and finding.test not in self._ongoing:
            self._ongoing.add(finding.test)
            self._events[finding.test] += 1

    def _significance(self, test: DriftTest, of_window: float) -> float:
        events = self._events[test] - (test in self._ongoing)
        return of_window / SPENT**events

    def _restart(self, at_s: float) -> None:
        self._scores.clear()
        self._alarms = 0
        self._began_s = at_s

    def _test(
        self, scores: NDArray[np.float64], alarms: int, trials: int, significance: float
    ) -> Iterator[Finding]:
        if self._guaranteed:
            p_value = self._rate_p_value(alarms, len(scores), trials)
            yield Finding(
                "alarm-rate",
                p_value,
                self._significance("alarm-rate", significance),
                self._rate_message(alarms, len(scores)),
            )
        if len(self._cuts) == len(CUTS):
            p_value = self._distribution_p_value(scores, trials)
            yield Finding(
                "score-distribution",
                p_value,
                self._significance("score-distribution", significance),
                self._distribution_message(scores),
            )

    def _rate_p_value(self, alarms: int, count: int, trials: int) -> float:
        scaled = alarms * trials // count
        rest = self._groups + 1 - self._rank
        return count_tail(scaled, trials, self._rank, rest, self._fields)

    def _distribution_p_value(self, scores: NDArray[np.float64], trials: int) -> float:
        """The smallest p-value of the cuts, each from both sides, times their number."""
        tails = []
        for share, cut in self._cuts.items():
            # The order statistic of the calibration that the cut is.
            below = math.floor((self._groups - 1) * share) + 1
            above = self._groups + 1 - below
            # Scores equal to the cut count for neither side, so that ties prove nothing.
            low = np.count_nonzero(scores < cut) * trials // len(scores)
            high = np.count_nonzero(scores > cut) * trials // len(scores)
            # The highest of several fields is not lower than one of them.
            tails.append(count_tail(low, trials, below, above))
            tails.append(count_tail(high, trials, above, below, self._fields))
        return min(1.0, len(tails) * min(tails))

    def _rate_message(self, alarms: int, count: int) -> str:
        expected = -math.expm1(self._fields * math.log1p(-self._rate)) * count
        return (
            f"{alarms:,} of the last {count:,} frames alarmed, where at most "
            f"{expected:,.1f} of normal ones should; either the material is not normal, or "
            "what is normal has changed: examine it, and calibrate again if it is good."
        )

    def _distribution_message(self, scores: NDArray[np.float64]) -> str:
        median = float(np.median(scores))
        low, high = self._cuts[0.25], self._cuts[0.75]
        inside = "inside" if low <= median <= high else "outside"
        return (
            f"Scores of the last {len(scores):,} frames are not distributed as those of the "
            f"calibration were (median {median:.4g}, {inside} of {low:.4g} to {high:.4g}, where "
            "half of them were); check light and focus, and calibrate again if the material is "
            "good."
        )
