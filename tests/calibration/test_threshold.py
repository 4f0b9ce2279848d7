"""The threshold, its guarantee in simulation, and its refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from semedge_calibration import (
    CalibrationError,
    CalibrationRefused,
    calibrate_threshold,
    frames_needed,
    percent,
)

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)
COARSE_SCORES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=200)


@pytest.mark.parametrize(("n", "rate", "confidence"), [(299, 0.01, 0.95), (120, 0.1, 0.9)])
def test_tolerance_guarantee_holds(n: int, rate: float, confidence: float) -> None:
    random = np.random.default_rng(3)
    repetitions = 3000
    broken = 0
    for _ in range(repetitions):
        result = calibrate_threshold(
            random.standard_normal(n),
            false_alarm_rate=rate,
            confidence=confidence,
            method="tolerance",
        )
        broken += stats.norm.sf(result.threshold) > rate
    doubt = 1 - confidence
    limit = doubt + 4 * np.sqrt(doubt * confidence / repetitions)
    assert broken / repetitions <= limit
    assert broken / repetitions > doubt / 4, "the threshold is needlessly high"


def test_conformal_guarantee_holds_on_average() -> None:
    random = np.random.default_rng(4)
    rates = []
    for _ in range(3000):
        result = calibrate_threshold(
            random.standard_normal(99), false_alarm_rate=0.05, confidence=0.95, method="conformal"
        )
        rates.append(stats.norm.sf(result.threshold))
    assert np.mean(rates) == pytest.approx(0.05, abs=4 * np.std(rates) / np.sqrt(len(rates)))


def test_guarantee_holds_with_ties() -> None:
    """Scores of few values: P(score > threshold) is known exactly for each value."""
    random = np.random.default_rng(5)
    tail = {value: (9 - value) / 10 for value in range(10)}
    broken = sum(
        tail[
            int(
                calibrate_threshold(
                    random.integers(0, 10, size=60),
                    false_alarm_rate=0.15,
                    confidence=0.9,
                    method="tolerance",
                ).threshold
            )
        ]
        > 0.15
        for _ in range(2000)
    )
    assert broken / 2000 <= 0.1 + 4 * np.sqrt(0.09 / 2000)


def test_near_copies_break_the_guarantee_and_groups_restore_it() -> None:
    """300 frames that are 30 scenes of 10 near-copies, as in the design's measurement."""
    random = np.random.default_rng(6)
    scenes = np.repeat(np.arange(30), 10)
    broken = 0
    repetitions = 800
    for _ in range(repetitions):
        scores = np.repeat(random.standard_normal(30), 10) + 1e-6 * random.standard_normal(300)
        result = calibrate_threshold(
            scores, false_alarm_rate=0.01, confidence=0.95, method="tolerance"
        )
        broken += stats.norm.sf(result.threshold) > 0.01
        with pytest.raises(CalibrationRefused, match="there are 30"):
            calibrate_threshold(
                scores,
                groups=scenes.tolist(),
                false_alarm_rate=0.01,
                confidence=0.95,
                method="tolerance",
            )
    assert broken / repetitions == pytest.approx(0.74, abs=0.06)


@pytest.mark.parametrize("method", ["tolerance", "conformal"])
@given(scores=st.one_of(SCORES, COARSE_SCORES), rate=st.floats(0.01, 0.9))
def test_threshold_is_the_ranked_normal_score(method, scores, rate) -> None:
    if len(scores) < frames_needed(rate, 0.9, method):
        with pytest.raises(CalibrationRefused):
            calibrate_threshold(scores, false_alarm_rate=rate, confidence=0.9, method=method)
        return
    result = calibrate_threshold(scores, false_alarm_rate=rate, confidence=0.9, method=method)
    assert result.threshold == sorted(scores, reverse=True)[result.rank - 1]
    assert sum(score > result.threshold for score in scores) <= result.rank - 1
    assert 0 < result.proved_rate <= rate


@given(scores=st.lists(st.floats(-1e6, 1e6), min_size=60, max_size=200), seed=st.integers(0, 99))
def test_order_of_scores_does_not_matter(scores, seed) -> None:
    shuffled = np.random.default_rng(seed).permutation(scores)
    kwargs = {"false_alarm_rate": 0.05, "confidence": 0.95, "method": "tolerance"}
    assert calibrate_threshold(shuffled, **kwargs) == calibrate_threshold(scores, **kwargs)


@given(
    scores=st.lists(st.integers(-1000, 1000).map(float), min_size=60, max_size=150),
    rates=st.tuples(st.floats(0.05, 0.9), st.floats(0.05, 0.9)).map(sorted),
)
def test_a_stricter_rate_never_lowers_the_threshold(scores, rates) -> None:
    strict, loose = (
        calibrate_threshold(scores, false_alarm_rate=rate, confidence=0.9, method="tolerance")
        for rate in rates
    )
    assert strict.threshold >= loose.threshold


def test_groups_count_once_by_their_maximum() -> None:
    scores = np.arange(120.0)
    groups = [index // 2 for index in range(120)]
    result = calibrate_threshold(
        scores, groups=groups, false_alarm_rate=0.05, confidence=0.95, method="tolerance"
    )
    assert (result.groups, result.rank, result.threshold) == (60, 1, 119.0)


@pytest.mark.parametrize(
    ("n", "method", "unit", "values"),
    [
        (40, "tolerance", "frames", "299 independent frames .*1 % at 95 %.* 40,.* 7.2 %.* 0.0722 "),
        (5, "tolerance", "groups of frames", "299 independent groups.* 5,.* 45.1 %.* 0.451 "),
        (9, "conformal", "frames", "99 independent frames .*1 % on average.* 9,.* 10 %.* 0.1 "),
    ],
)
def test_a_refusal_has_the_numbers(n: int, method, unit: str, values: str) -> None:
    with pytest.raises(CalibrationRefused, match=values):
        calibrate_threshold(
            np.arange(float(n)), false_alarm_rate=0.01, confidence=0.95, method=method, unit=unit
        )


@pytest.mark.parametrize("method", ["tolerance", "conformal"])
@given(n=st.integers(1, 300), confidence=st.floats(0.5, 0.99))
def test_the_rate_that_a_refusal_offers_is_accepted(method, n, confidence) -> None:
    scores = np.arange(float(n))
    with pytest.raises(CalibrationRefused) as refusal:
        calibrate_threshold(scores, false_alarm_rate=1e-4, confidence=confidence, method=method)
    offered = re.search(r"rate of (\S+) or more", str(refusal.value))
    assert offered is not None
    result = calibrate_threshold(
        scores, false_alarm_rate=float(offered[1]), confidence=confidence, method=method
    )
    assert result.rank >= 1


def test_sentences() -> None:
    scores = np.arange(1000.0)
    tolerance = calibrate_threshold(
        scores, false_alarm_rate=0.01, confidence=0.95, method="tolerance"
    )
    conformal = calibrate_threshold(
        scores, false_alarm_rate=0.01, confidence=0.95, method="conformal"
    )
    assert tolerance.sentence() == (
        "With 95 % confidence, at most 1 % of normal frames raise an alarm, proved from 1,000 "
        "independent frames."
    )
    assert conformal.sentence("fields", "fields are independent") == (
        "On average over calibrations, at most 1 % of normal fields raise an alarm, proved from "
        "1,000 independent fields, assuming that fields are independent."
    )
    assert conformal.confidence is None
    assert conformal.proved_rate == 10 / 1001


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.01, "1 %"),
        (0.07, "7 %"),
        (0.001, "0.1 %"),
        (0.95, "95 %"),
        (0.995, "99.5 %"),
        (0.99999, "99.999 %"),
        (3 / 864, "0.3472 %"),
        (1e-7, "1e-05 %"),
    ],
)
def test_percent(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("scores", "groups", "word"),
    [
        ([], None, "at least one"),
        ([[1.0, 2.0]], None, "shape"),
        ([1.0, float("nan")], None, "nan at position 1"),
        ([float("inf")], None, "inf at position 0"),
        ([1.0, 2.0], ["a"], "1 groups for 2 scores"),
    ],
)
def test_scores_that_cannot_be_used(scores, groups, word: str) -> None:
    with pytest.raises(CalibrationError, match=word) as error:
        calibrate_threshold(
            scores, groups=groups, false_alarm_rate=0.5, confidence=0.5, method="tolerance"
        )
    assert not isinstance(error.value, CalibrationRefused)
