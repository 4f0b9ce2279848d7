"""Principal components of patches, from moments that are summed batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True)
class PrincipalComponents:
    """The directions in which patches vary most.

    Attributes
    ----------
    mean
        Mean patch, shape `(pixels,)`.
    components
        Orthonormal, shape `(pixels, components)`, the widest first.
    deviations
        Standard deviation along each, shape `(components,)`, at least a thousandth.
    """

    mean: Array
    components: Array
    deviations: Array


class Moments:
    """First and second moments of vectors; memory does not grow with their number."""

    def __init__(self, pixels: int) -> None:
        self.count = 0
        self._total = np.zeros(pixels)
        self._products = np.zeros((pixels, pixels))

    def add(self, values: Array) -> None:
        """Take vectors `(n, pixels)`."""
        self.count += len(values)
        self._total += values.sum(axis=0, dtype=np.float64)
        self._products += values.T @ values

    def principal(self, count: int) -> PrincipalComponents:
        """The `count` widest components, one fewer than pixels at most."""
        mean = self._total / self.count
        variances, vectors = np.linalg.eigh(self._products / self.count - np.outer(mean, mean))
        kept = np.arange(len(mean))[::-1][: min(count, len(mean) - 1)]
        deviations = np.sqrt(np.maximum(variances[kept], SMALLEST_DEVIATION**2))
        return PrincipalComponents(
            mean.astype(np.float32),
            vectors[:, kept].astype(np.float32),
            deviations.astype(np.float32),
        )
