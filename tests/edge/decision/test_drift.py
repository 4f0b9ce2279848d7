"""Drift is seen where it is, and hardly ever where it is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from recipes import recipe_parts

from semedge.decision.drift import (
    DRIFT_TESTS,
    DriftMonitor,
    DriftSettings,
    Finding,
    chi_squared_tail,
)
from semedge_calibration import Calibration, binomial_tail

stats = pytest.importorskip("scipy.stats", reason="SciPy is of the extra train")

QUANTILES = ("0", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "1")
CALIBRATED = 299


def calibration_of(scores: np.ndarray) -> Calibration:
    made = Calibration.from_json(recipe_parts()[1].decode())
    quantiles = {
        name: float(np.quantile(scores, float(name), method="lower")) for name in QUANTILES
    }
    return replace(made, quantiles=quantiles, groups=len(scores), false_alarm_rate=0.01)


def findings(
    calibrated: np.ndarray, scores: np.ndarray, *, limit: float = math.inf, window: int = 500
) -> list[Finding]:
    monitor = DriftMonitor(calibration_of(calibrated), 0.01, DriftSettings(window_frames=window))
    return [each for score in scores for each in monitor.add(score, score > limit)]


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"window_frames": 49}, r"window_frames\n.*input_value=49"),
        ({"significance": 0.01}, r"significance\n.*input_value=0.01"),
        ({"end_above": 0}, r"end_above\n.*input_value=0"),
        ({"significance": 1e-3, "end_above": 1e-4}, r"\bend_above\b.*\bsignificance\b"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, values: str) -> None:
    with pytest.raises(ValidationError, match=values):
        DriftSettings(**settings)


@given(st.floats(0, 500), st.sampled_from([2, 4, 6, 10]))
def test_the_chi_squared_tail_is_scipys(statistic: float, degrees: int) -> None:
    expected = stats.chi2.sf(statistic, degrees)
    assert chi_squared_tail(statistic, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.integers(1, 2000), st.floats(1e-4, 0.5), st.integers(0, 60))
def test_the_binomial_tail_is_scipys(trials: int, rate: float, least: int) -> None:
    expected = stats.binom.sf(least - 1, trials, rate)
    assert binomial_tail(trials, rate, least) == pytest.approx(expected, rel=1e-6, abs=1e-280)


@pytest.mark.parametrize("degrees", [0, 1, 5])
def test_odd_degrees_are_refused(degrees: int) -> None:
    with pytest.raises(ValueError, match=f"Received: {degrees}"):
        chi_squared_tail(1.0, degrees)


def test_unchanged_material_hardly_ever_looks_as_if_it_drifted() -> None:
    """At p = 0.01, and 20 draws of a calibration with 30 windows each."""
    rng = np.random.default_rng(0)
    below = dict.fromkeys(DRIFT_TESTS, 0)
    for _ in range(20):
        calibrated = rng.normal(size=CALIBRATED)
        limit = float(np.quantile(rng.normal(size=100_000), 0.99))
        for finding in findings(calibrated, rng.normal(size=15_000), limit=limit):
            below[finding.test] += finding.p_value < 0.01
    assert below["alarm-rate"] <= 0.03 * 600
    assert below["score-distribution"] <= 0.04 * 600


def test_frames_that_resemble_their_neighbours_count_less() -> None:
    """A first-order process of correlation 0.9: 500 frames are about 26 independent ones."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=60_000) * math.sqrt(1 - 0.81)
    scores = np.zeros(60_000)
    for at in range(1, len(scores)):
        scores[at] = 0.9 * scores[at - 1] + noise[at]
    found = findings(rng.normal(size=CALIBRATED), scores)
    spread = [each.p_value for each in found if each.test == "score-distribution"]
    assert len(spread) >= 20
    assert np.mean(np.array(spread) < 0.01) < 0.1


@pytest.mark.parametrize("change", [lambda x: x + 0.5, lambda x: x * 2, lambda x: x * 0.4 + 0.1])
def test_a_distribution_that_moved_is_seen(change: object) -> None:
    rng = np.random.default_rng(2)
    scores = change(rng.normal(size=500))  # type: ignore[operator]
    found = {each.test: each for each in findings(rng.normal(size=CALIBRATED), scores)}
    assert found["score-distribution"].p_value < 1e-4
    assert "last 500 frames" in found["score-distribution"].message


def test_more_alarms_than_guaranteed_are_found() -> None:
    rng = np.random.default_rng(3)
    calibrated = rng.normal(size=CALIBRATED)
    limit = 2.33
    quiet, loud = rng.normal(size=500), rng.normal(size=500)
    loud[:40] += 5
    rng.shuffle(loud)
    few = {each.test: each for each in findings(calibrated, quiet, limit=limit)}
    many = {each.test: each for each in findings(calibrated, loud, limit=limit)}
    assert few["alarm-rate"].p_value > 0.01
    assert many["alarm-rate"].p_value < 1e-6
    assert "last 500 frames" in many["alarm-rate"].message


def test_windows_follow_one_another() -> None:
    rng = np.random.default_rng(4)
    found = findings(rng.normal(size=CALIBRATED), rng.normal(size=249), window=100)
    assert [each.test for each in found] == list(DRIFT_TESTS) * 2


def test_without_a_guarantee_only_the_distribution_is_tested() -> None:
    rng = np.random.default_rng(5)
    calibration = calibration_of(rng.normal(size=CALIBRATED))
    monitor = DriftMonitor(calibration, None, DriftSettings(window_frames=100))
    found = [each for score in rng.normal(size=100) for each in monitor.add(score, True)]
    assert [each.test for each in found] == ["score-distribution"]


def test_scores_that_are_all_the_same_prove_nothing() -> None:
    assert findings(np.random.default_rng(6).normal(size=CALIBRATED), np.ones(500)) == []
