"""The range of a tensor whose 256 steps of int8 round with the least error.

The error counts in what the operator after it makes of the tensor: a leaky ReLU shrinks negatives,
so that a range may well cut the largest of them off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Function = Callable[[Array], Array]

BINS = 8192
"""Of the histogram of a tensor: 32 for each step of int8."""
KEPT_SHARES = tuple(share / 100 for share in range(100, 25, -5))
"""Shares of the smallest and of the largest value that a range may reach to."""


@dataclass(frozen=True)
class Histogram:
    """How often values of a tensor were seen.

    Attributes
    ----------
    edges
        Of the bins, ascending, shape `(BINS + 1,)`.
    counts
        Values in each bin, shape `(BINS,)`.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def between(cls, low: float, high: float) -> Histogram:
        """An empty one for values from `low` to `high`."""
        return cls(np.linspace(low, high, BINS + 1), np.zeros(BINS, np.int64))

    def add(self, values: Array) -> None:
        """Count values of any shape; none lies beyond the edges but by rounding."""
        counts, _ = np.histogram(values, BINS, (self.edges[0], self.edges[-1]))
        self.counts[:] += counts


def unchanged(values: Array) -> Array:
    """What operators without a nonlinearity of their own count as here."""
    return values


def leaky(slope: float) -> Function:
    """A leaky ReLU."""
    return lambda values: np.maximum(values, np.float32(slope) * values)


def least_error_range(histogram: Histogram, function: Function) -> tuple[float, float]:
    """The range whose int8 steps change `function` of the values least, in mean square."""
    low, high = float(histogram.edges[0]), float(histogram.edges[-1])
    centres = ((histogram.edges[:-1] + histogram.edges[1:]) / 2).astype(np.float32)
    exact = function(centres)

    def error(limits: tuple[float, float]) -> float:
        changes = function(rounded(centres, *limits)) - exact
        return float(histogram.counts @ np.square(changes))

    return min(
        ((low * below, high * above) for below in KEPT_SHARES for above in KEPT_SHARES), key=error
    )


def rounded(values: Array, low: float, high: float) -> Array:
    """Values as int8 holds them in a range: 256 steps, one of which is at zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = max(high - low, np.finfo(np.float32).tiny) / 255
    zero = np.clip(np.round(-128 - low / step), -128, 127)
    held = np.clip(np.round(values / step) + zero, -128, 127)
    return ((held - zero) * step).astype(np.float32)
