"""Pauses between failed attempts."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double from one failure to the next, up to a longest one.

    Parameters
    ----------
    first_s
        The pause after the first failure.
    longest_s
        The longest pause, before the spread is added.
    spread
        Share by which each pause is made longer or shorter at random, so that clients that
        failed together do not try again together.

    Examples
    --------
    >>> backoff = Backoff(0.5, longest_s=3.0)
    >>> [backoff.next_s() for _ in range(5)]
    [0.5, 1.0, 2.0, 3.0, 3.0]
    >>> backoff.reset()
    >>> backoff.next_s()
    0.5
    """

    def __init__(self, first_s: float, longest_s: float, spread: float = 0.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._spread = spread
        self._pause_s = first_s

    def next_s(self) -> float:
        """How long to pause after this failure."""
        pause_s = min(self._pause_s, self._longest_s)
        self._pause_s = 2 * pause_s
        return pause_s * random.uniform(1 - self._spread, 1 + self._spread)

    def reset(self) -> None:
        """Return to the first pause, after a success."""
        self._pause_s = self._first_s
