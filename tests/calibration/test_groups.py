"""Groups and the warning of correlated scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semedge_calibration.groups import correlation_warning, group_maxima, lag_1_correlation


def test_maximum_of_each_group_in_order_of_appearance() -> None:
    maxima = group_maxima([1.0, 5.0, 2.0, -3.0, 4.0], ["b", "a", "b", "c", "a"])
    np.testing.assert_array_equal(maxima, [2.0, 5.0, -3.0])


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 9)), min_size=1))
def test_every_maximum_is_its_groups(pairs) -> None:
    scores, groups = zip(*pairs, strict=True)
    maxima = group_maxima(scores, groups)
    expected = [
        max(score for score, group in pairs if group == key) for key in dict.fromkeys(groups)
    ]
    assert maxima.tolist() == expected


def test_independent_scores_seldom_warn() -> None:
    random = np.random.default_rng(1)
    warned = sum(correlation_warning(random.standard_normal(200)) is not None for _ in range(500))
    assert warned / 500 < 0.06


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param(np.repeat(np.random.default_rng(2).standard_normal(30), 10), id="scenes"),
        pytest.param(np.linspace(0, 1, 50), id="drift"),
        pytest.param(np.full(20, 0.3), id="constant"),
        pytest.param(np.linspace(0, 1e-200, 50), id="tiny"),
        pytest.param(np.linspace(0, 1e200, 50), id="huge"),
    ],
)
def test_dependent_scores_warn(scores: np.ndarray) -> None:
    warning = correlation_warning(scores)
    assert warning is not None
    assert "so the guarantee may not hold" in warning


def test_nine_scores_are_too_few_for_a_test() -> None:
    assert correlation_warning(np.linspace(0, 1, 9)) is None


@given(st.lists(st.floats(-1e100, 1e100), min_size=2))
def test_correlation_lies_within_one(scores) -> None:
    assert -1 <= lag_1_correlation(scores) <= 1


def test_alternating_scores_do_not_warn() -> None:
    scores = np.tile([0.0, 1.0], 20)
    assert lag_1_correlation(scores) < -0.9
    assert correlation_warning(scores) is None
