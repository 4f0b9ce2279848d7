"""Ranks and rates against scipy, the published table and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semedge_calibration.binomial import log_binomial_cdf
from semedge_calibration.errors import CalibrationError
from semedge_calibration.order_statistics import (
    best_provable_rate,
    conformal_rank,
    frames_needed,
    p_value,
    proved_rate,
    threshold_rank,
    tolerance_rank,
)

RATES = st.floats(1e-4, 0.6)
CONFIDENCES = st.floats(0.5, 0.9999)
COUNTS = st.integers(1, 3000)


@pytest.mark.parametrize(
    ("trials", "rate"), [(1, 0.5), (5, 0.01), (299, 0.01), (2000, 0.3), (50_000, 0.001)]
)
def test_log_tail_is_scipys(trials: int, rate: float) -> None:
    """Against scipy's sum of terms, and its own tail where that keeps its digits."""
    ours = log_binomial_cdf(trials, rate)
    successes = np.arange(trials + 1)
    summed = np.logaddexp.accumulate(stats.binom.logpmf(successes, trials, rate))
    tail = stats.binom.logcdf(successes, trials, rate)
    np.testing.assert_allclose(ours, summed, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours[tail > -200], tail[tail > -200], rtol=1e-9, atol=1e-9)


def test_the_log_cdf_stops_at_its_limit() -> None:
    np.testing.assert_array_equal(log_binomial_cdf(40, 0.2, 3), log_binomial_cdf(40, 0.2)[:4])


@pytest.mark.parametrize(
    ("rate", "marginal", "at_95", "at_99"),
    [(0.1, 9, 29, 44), (0.05, 19, 59, 90), (0.01, 99, 299, 459), (0.001, 999, 2995, 4603)],
)
def test_frames_needed(rate: float, marginal: int, at_95: int, at_99: int) -> None:
    assert frames_needed(rate, 0.95, "conformal") == marginal
    assert frames_needed(rate, 0.95, "tolerance") == at_95
    assert frames_needed(rate, 0.99, "tolerance") == at_99


@pytest.mark.parametrize("method", ["tolerance", "conformal"])
@given(rate=RATES, confidence=CONFIDENCES)
def test_frames_needed_is_where_a_rank_first_exists(method, rate, confidence) -> None:
    needed = frames_needed(rate, confidence, method)
    assert threshold_rank(needed, rate, confidence, method) >= 1
    if needed > 1:
        assert threshold_rank(needed - 1, rate, confidence, method) == 0


@given(n=COUNTS, rate=RATES, confidence=CONFIDENCES)
def test_tolerance_rank_is_the_largest_that_proves_the_rate(n, rate, confidence) -> None:
    rank = tolerance_rank(n, rate, confidence)
    assert 0 <= rank <= n
    doubt = 1 - confidence
    if rank:
        assert stats.beta.sf(rate, rank, n + 1 - rank) <= doubt * (1 + 1e-9)
    assert stats.binom.cdf(rank, n, rate) > doubt * (1 - 1e-9)


@given(n=COUNTS, rate=st.decimals("0.001", "0.999", places=3))
def test_conformal_rank_is_exact(n, rate) -> None:
    smallest = math.ceil((n + 1) * (1 - rate))
    assert n + 1 - conformal_rank(n, float(rate)) == smallest


@given(n=COUNTS, rate=RATES, confidence=CONFIDENCES)
def test_proved_rate_is_the_beta_quantile(n, rate, confidence) -> None:
    rank = tolerance_rank(n, rate, confidence)
    if rank == 0:
        return
    proved = proved_rate(n, rank, rate, confidence, "tolerance")
    assert 0 < proved <= rate
    assert proved == pytest.approx(stats.beta.ppf(confidence, rank, n + 1 - rank), rel=1e-6)


@given(n=COUNTS, confidence=CONFIDENCES)
def test_best_rate_is_the_beta_quantile_of_the_maximum(n, confidence) -> None:
    best = best_provable_rate(n, confidence, "tolerance")
    assert best == pytest.approx(stats.beta.ppf(confidence, 1, n), rel=1e-9)


@pytest.mark.parametrize(
    ("n", "method", "best"),
    [(40, "tolerance", 0.0722), (5, "tolerance", 0.4507), (5, "conformal", 1 / 6)],
)
def test_best_rate(n: int, method, best: float) -> None:
    assert best_provable_rate(n, 0.95, method) == pytest.approx(best, abs=5e-5)


@given(
    normal=st.lists(st.floats(0, 1), min_size=1, max_size=50),
    score=st.floats(0, 1),
)
def test_p_value_lies_between_one_in_n_plus_one_and_one(normal, score) -> None:
    p = p_value(score, normal)
    assert 1 / (len(normal) + 1) <= p <= 1
    assert p_value(max(normal) + 1, normal) == 1 / (len(normal) + 1)
    assert p_value(min(normal), normal) == 1


def test_p_value_counts_ties_against_the_alarm() -> None:
    assert p_value(2.0, [1.0, 2.0, 2.0, 3.0]) == 4 / 5


@pytest.mark.parametrize(
    ("rate", "confidence", "method", "word"),
    [
        (0.0, 0.95, "tolerance", "0.0"),
        (1.0, 0.95, "tolerance", "1.0"),
        (-0.1, 0.95, "conformal", "-0.1"),
        (float("nan"), 0.95, "tolerance", "nan"),
        (1e-320, 0.95, "tolerance", "e-320"),
        (0.01, 0.0, "tolerance", "confidence"),
        (0.01, 1.0, "tolerance", "confidence"),
        (0.01, float("nan"), "tolerance", "confidence"),
        (0.01, 0.95, "pot", "'pot'"),
    ],
)
def test_settings_out_of_range(rate, confidence, method, word) -> None:
    with pytest.raises(CalibrationError, match=word):
        frames_needed(rate, confidence, method)


@settings(max_examples=25)
@given(rate=st.floats(1e-12, 1e-6), confidence=CONFIDENCES)
def test_tiny_rates_give_a_number(rate, confidence) -> None:
    needed = frames_needed(rate, confidence, "tolerance")
    assert needed == pytest.approx(-math.log1p(-confidence) / rate, rel=1e-5, abs=1)
