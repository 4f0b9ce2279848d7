"""Sparse codes of patches over a dictionary, by batched orthogonal matching pursuit.

Pati, Rezaiifar and Krishnaprasad, "Orthogonal matching pursuit" (1993): the atom that is most
similar to the residual of a signal is added to the code, and all coefficients are fitted again,
until the code has `NONZEROS` atoms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

NONZEROS = 8
"""Number of atoms of a code."""

RIDGE = np.float32(1e-6)
"""Keeps the fit solvable where the residual is zero before the code is full."""


@dataclass(frozen=True)
class SparseCodes:
    """Codes of some signals.

    Attributes
    ----------
    atoms
        Indices of each code's atoms, shape `(n, nonzeros)`.
    coefficients
        Their coefficients, shape `(n, nonzeros)`.
    residuals
        Residuals of the signals, shape `(n, d)`.
    """

    atoms: NDArray[np.intp]
    coefficients: Array
    residuals: Array


def sparse_codes(signals: Array, dictionary: Array, nonzeros: int = NONZEROS) -> SparseCodes:
    """Codes of signals `(n, d)` over the unit-norm atoms `(k, d)` of a dictionary."""
    count = len(signals)
    rows = np.arange(count)
    chosen = np.zeros((count, 0), np.intp)
    used = np.zeros((count, len(dictionary)), bool)
    coefficients = np.zeros((count, 0), np.float32)
    residuals = signals
    for size in range(1, nonzeros + 1):
        likeness = np.abs(residuals @ dictionary.T)
        likeness[used] = -1.0
        best = likeness.argmax(axis=1)
        used[rows, best] = True
        chosen = np.column_stack([chosen, best])
        atoms = dictionary[chosen]
        gram = atoms @ atoms.transpose(0, 2, 1) + RIDGE * np.eye(size, dtype=np.float32)
        likeness_to_signal = atoms @ signals[:, :, None]
        coefficients = np.linalg.solve(gram, likeness_to_signal)[:, :, 0]
        residuals = signals - np.einsum("nm,nmd->nd", coefficients, atoms)
    return SparseCodes(chosen, coefficients, residuals)


def parts_of(patches: Array, values: int) -> Array:
    """Square parts of `values` pixels that tile the patches `(n, h, w, 1)`, shape `(n, p, values)`.

    The sides of a patch must be multiples of a part's.
    """
    side = math.isqrt(values)
    count, height, width = patches.shape[:3]
    tiled = patches.reshape(count, height // side, side, width // side, side)
    return tiled.transpose(0, 1, 3, 2, 4).reshape(count, -1, values)
