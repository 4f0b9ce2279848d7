"""The range of a tensor whose 256 steps of int8 round with the least error.

The error counts in what the operator after it makes of the tensor: a leaky ReLU shrinks negatives,
so that a range may well cut the largest of them off. A leaky ReLU between int8 tensors gives values
in the steps of those it takes, so that it leaves positives as they are. With steps of its own it
would round them twice, and where the ratio of both steps is near 3:2, say, all small ones in the
same direction, which the layer after it adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

BINS = 8192
"""Number of bins of a tensor's histogram: 32 for each step of int8."""
KEPT_SHARES = tuple(share / 100 for share in range(100, 25, -5))
"""Shares of the smallest and of the largest value that a range may reach to."""


@dataclass(frozen=True)
class Histogram:
    """How often values of a tensor were seen.

    Attributes
    ----------
    edges
        Edges of the bins, ascending, shape `(BINS + 1,)`.
    counts
        Values in each bin, shape `(BINS,)`.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def between(cls, low: float, high: float) -> Histogram:
        """An empty one for values from `low` to `high`."""
        return cls(np.linspace(low, high, BINS + 1), np.zeros(BINS, np.int64))

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest edge."""
        return float(self.edges[0]), float(self.edges[-1])

    @property
    def centres(self) -> Array:
        """Centres of the bins, shape `(BINS,)`."""
        return ((self.edges[:-1] + self.edges[1:]) / 2).astype(np.float32)

    def add(self, values: Array) -> None:
        """Count values of any shape; none lies beyond the edges but by rounding."""
        counts, _ = np.histogram(values, BINS, self.ends)
        self.counts[:] += counts


def histograms(run: Callable[[], Iterable[Sequence[Array]]]) -> list[Histogram]:
    """Histograms of several tensors, in two passes: one finds their ends, one counts.

    Parameters
    ----------
    run
        Starts a pass, which gives the values of all the tensors batch by batch.
    """
    ends = [[(float(each.min()), float(each.max())) for each in tensors] for tensors in run()]
    found = [
        Histogram.between(min(low for low, _ in tensor), max(high for _, high in tensor))
        for tensor in zip(*ends, strict=True)
    ]
    for tensors in run():
        for histogram, values in zip(found, tensors, strict=True):
            histogram.add(values)
    return found


@dataclass(frozen=True)
class Following:
    """What the operator after a tensor makes of its values.

    Attributes
    ----------
    function
        In float.
    same_range
        Whether what it gives is rounded in the range of what it takes.
    """

    function: Callable[[Array], Array]
    same_range: bool = False


LINEAR = Following(lambda values: values)
"""Operators without a nonlinearity of their own count as if they changed nothing."""
TANH = Following(np.tanh)


def leaky(slope: float) -> Following:
    """A leaky ReLU."""
    return Following(lambda values: np.maximum(values, np.float32(slope) * values), True)


def least_error_range(histogram: Histogram, following: Following) -> tuple[float, float]:
    """The range whose int8 steps change what follows the tensor least, in mean square."""
    low, high = histogram.ends
    centres = histogram.centres
    exact = following.function(centres)

    def error(ends: tuple[float, float]) -> float:
        given = following.function(rounded(centres, *ends))
        if following.same_range:
            given = rounded(given, *ends)
        return float(histogram.counts @ np.square(given - exact))

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
