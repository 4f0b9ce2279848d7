"""Pauses double up to the longest, and begin again after a success."""

from __future__ import annotations

import pytest

from semedge.core.backoff import Backoff


@pytest.mark.parametrize(
    ("first_s", "longest_s", "pauses_s"),
    [
        (0.5, 10.0, [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]),
        (10.0, 10.0, [10.0, 10.0, 10.0]),
        (30.0, 10.0, [10.0, 10.0]),
    ],
)
def test_pauses_double_up_to_the_longest(
    first_s: float, longest_s: float, pauses_s: list[float]
) -> None:
    backoff = Backoff(first_s, longest_s)
    assert [backoff.next_s() for _ in pauses_s] == pauses_s


def test_pauses_begin_again_after_a_success() -> None:
    backoff = Backoff(1.0, 60.0)
    assert [backoff.next_s() for _ in range(3)] == [1.0, 2.0, 4.0]
    backoff.reset()
    assert [backoff.next_s() for _ in range(2)] == [1.0, 2.0]


def test_a_long_outage_overflows_nothing() -> None:
    backoff = Backoff(0.5, 60.0)
    assert [backoff.next_s() for _ in range(10_000)][-1] == 60.0


def test_pauses_are_spread_and_grow_all_the_same() -> None:
    drawn = []
    for _ in range(50):
        backoff = Backoff(1.0, 4.0, spread=0.2)
        drawn.append([backoff.next_s() for _ in range(4)])
    for pauses_s, middle_s in zip(zip(*drawn, strict=True), (1, 2, 4, 4), strict=True):
        assert all(0.8 * middle_s <= pause_s <= 1.2 * middle_s for pause_s in pauses_s)
        assert len(set(pauses_s)) > 1
