"""Drift is seen where it is, and hardly ever where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from drift_simulation import FRESH_SEED, Case, cases, false_events
from faults import Fault
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from recipes import recipe_parts

from semedge.decision.drift import (
    DRIFT_TESTS,
    DriftMonitor,
    DriftSettings,
    Finding,
)
from semedge.decision.drift_statistics import count_tail, effective_count
from semedge_calibration import Calibration, binomial_tail

stats = pytest.importorskip("scipy.stats", reason="SciPy is of the extra train")
signal = pytest.importorskip("scipy.signal", reason="SciPy is of the extra train")

QUANTILES = ("0", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "1")
CALIBRATED = 299


def calibration_of(scores: np.ndarray) -> Calibration:
    made = Calibration.from_json(recipe_parts()[1].decode())
    quantiles = {
        name: float(np.quantile(scores, float(name), method="lower")) for name in QUANTILES
    }
    return replace(made, quantiles=quantiles, groups=len(scores), rank=1, false_alarm_rate=0.01)


def findings(
    calibrated: np.ndarray, scores: np.ndarray, *, limit: float = math.inf, window: int = 500
) -> list[Finding]:
    monitor = DriftMonitor(calibration_of(calibrated), True, DriftSettings(window_frames=window))
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


@given(st.integers(1, 3000), st.integers(1, 30), st.integers(1, 2000), st.integers(0, 60))
def test_the_tail_of_a_count_is_scipys(rest: int, rank: int, trials: int, least: int) -> None:
    # Summed, since SciPy's own tail is one minus the rest.
    counts = np.arange(least, trials + 1)
    expected = float(stats.betabinom.pmf(counts, trials, rank, rest).sum())
    assert count_tail(least, trials, rank, rest) == pytest.approx(expected, rel=0.02, abs=1e-12)


@pytest.mark.parametrize("fields", [2.0, 9.5])
def test_a_frame_of_several_fields_alarms_more_often(fields: float) -> None:
    rng = np.random.default_rng(7)
    rates = rng.beta(3, 297, size=400_000)
    counts = rng.binomial(500, 1 - (1 - rates) ** fields)
    for least in (10, 30, 60):
        simulated = float(np.mean(counts >= least))
        assert count_tail(least, 500, 3, 297, fields) == pytest.approx(
            simulated, rel=0.05, abs=1e-3
        )


@given(st.integers(1, 2000), st.floats(1e-4, 0.5), st.integers(0, 60))
def test_the_binomial_tail_is_scipys(trials: int, rate: float, least: int) -> None:
    expected = stats.binom.sf(least - 1, trials, rate)
    assert binomial_tail(trials, rate, least) == pytest.approx(expected, rel=1e-6, abs=1e-280)


@pytest.mark.parametrize(("correlation", "least", "most"), [(0.0, 700, 1000), (0.9, 25, 80)])
def test_the_effective_count_is_that_of_a_first_order_process(
    correlation: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(8)
    counts = [effective_count(process(rng, 1000, correlation)) for _ in range(50)]
    assert least < np.mean(counts) < most


def test_a_slow_wave_below_white_noise_is_no_independent_sample() -> None:
    rng = np.random.default_rng(9)
    wave = np.sin(np.arange(2000) / 300) + rng.normal(size=2000)
    assert effective_count(wave) < 60


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


def process(rng: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    """A first-order process of variance 1."""
    noise = rng.normal(size=count + 1000) * math.sqrt(1 - correlation**2)
    scores: np.ndarray = signal.lfilter([1.0], [1.0, -correlation], noise)[1000:]
    return scores


def test_frames_that_resemble_their_neighbours_count_less() -> None:
    """A first-order process of correlation 0.9: 500 frames are about 26 independent ones."""
    rng = np.random.default_rng(1)
    found = findings(rng.normal(size=CALIBRATED), process(rng, 60_000, 0.9))
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
    monitor = DriftMonitor(calibration, False, DriftSettings(window_frames=100))
    found = [each for score in rng.normal(size=100) for each in monitor.add(score, True)]
    assert [each.test for each in found] == ["score-distribution"]


def test_scores_that_are_all_the_same_prove_nothing() -> None:
    assert findings(np.random.default_rng(6).normal(size=CALIBRATED), np.ones(500)) == []


@pytest.mark.parametrize(
    ("stations", "seed", "chosen"),
    [
        pytest.param(
            20,
            0,
            [
                Case(99, "conformal", 1.0, "frames"),
                Case(299, "tolerance", 1.0, "fields"),
                Case(299, "conformal", 1.0, "groups"),
            ],
            marks=pytest.mark.fault(Fault.DRIFT),
        ),
        pytest.param(
            100,
            FRESH_SEED,
            list(cases()),
            marks=(pytest.mark.slow, pytest.mark.timeout(3600)),
        ),
    ],
    ids=["some", "all"],
)
def test_healthy_stations_report_at_most_one_drift_event_a_year(
    stations: int,
    seed: int,
    chosen: list[Case],
    record_property: Callable[[str, object], None],
) -> None:
    worst = max(false_events(case, stations, seed)[0] for case in chosen)
    record_property(
        f"false drift events a year, {stations} stations for a month, at most", f"{worst:.2f}"
    )
    assert worst <= 1


@pytest.mark.parametrize(
    ("days", "stations"),
    [
        pytest.param(2, 3, marks=pytest.mark.fault(Fault.DRIFT)),
        pytest.param(30, 10, marks=(pytest.mark.slow, pytest.mark.timeout(3600))),
    ],
)
@pytest.mark.parametrize("n", [99, 3000])
def test_frames_that_resemble_each_other_for_minutes_are_no_drift(
    n: int, days: int, stations: int
) -> None:
    rng = np.random.default_rng(10)
    events = 0
    for _ in range(stations):
        calibrated = rng.normal(size=n)
        limit = float(calibrated.max())
        monitor = DriftMonitor(calibration_of(calibrated), True, DriftSettings())
        for second, score in enumerate(process(rng, days * 86_400, 0.99).tolist()):
            for finding in monitor.add(score, score > limit, float(second)):
                events += finding.is_drift
    assert events == 0


@pytest.mark.parametrize(("frame_rate_hz", "hours"), [(1.0, 24.0), (30.0, 1.0)])
def test_material_that_changed_is_still_seen_within_hours(
    frame_rate_hz: float, hours: float
) -> None:
    rng = np.random.default_rng(11)
    monitor = DriftMonitor(calibration_of(rng.normal(size=CALIBRATED)), True, DriftSettings())
    scores = rng.normal(size=round(hours * 3600 * frame_rate_hz)) + 1.0
    found = [
        finding
        for number, score in enumerate(scores)
        for finding in monitor.add(score, score > 2.5, number / frame_rate_hz)
    ]
    assert any(each.is_drift for each in found if each.test == "score-distribution")


def test_a_larger_frame_is_compared_as_several_fields() -> None:
    rng = np.random.default_rng(12)
    calibration = calibration_of(rng.normal(size=CALIBRATED))
    limit = max(calibration.quantiles.values())
    scores = rng.normal(size=(20_000, 20)).max(axis=1)
    for fields, drifts in ((20.0, False), (1.0, True)):
        monitor = DriftMonitor(calibration, True, DriftSettings(), fields)
        found = [
            finding
            for number, score in enumerate(scores)
            for finding in monitor.add(score, score > limit, float(number))
        ]
        assert any(each.is_drift for each in found) == drifts
