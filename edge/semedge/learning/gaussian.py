"""Fits a Gaussian to features of normal places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.feature_maps import Gaussian

Array = NDArray[np.float32]

RIDGE = 1e-3
"""Share of the mean variance that is added to every variance."""
KEPT_DIRECTIONS = 0.75
"""Share of the directions that are judged, those of least variance."""


def fit_gaussian(output: str, features: Array) -> Gaussian:
    """The Gaussian of features `(n, d)` of one output, in the directions of least variance."""
    mean, whitening = gaussian_of(features, RIDGE, KEPT_DIRECTIONS)
    return Gaussian(output, mean, whitening)


def gaussian_of(features: Array, ridge: float, kept: float) -> tuple[Array, Array]:
    """Mean `(d,)` of features `(n, d)`, and whitening `(d, k)` of the directions of least variance.

    `kept` is k as a share of d. The covariance is shrunk towards its mean variance by as much as
    Ledoit and Wolf find best, which is next to nothing for many samples and keeps few of them
    usable; then `ridge` times the mean variance is added to its diagonal.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(features)
    variance = np.trace(covariance) / len(covariance)
    if not variance > 0:
        raise SemedgeError(
            "The frames have the same features everywhere, as frames of one gray have; learn from "
            "frames that show the material."
        )
    shrinkage = shrinkage_of(centred, covariance)
    shrunk = (1 - shrinkage) * covariance
    shrunk[np.diag_indices_from(shrunk)] += (shrinkage + ridge) * variance
    values, vectors = np.linalg.eigh(shrunk)
    count = max(1, round(kept * len(values)))
    whitening = vectors[:, :count] / np.sqrt(values[:count])
    return mean.astype(np.float32), whitening.astype(np.float32)


def shrinkage_of(centred: Array, covariance: NDArray[np.float64]) -> float:
    """Share of the mean variance in the best estimate of the covariance, between 0 and 1.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices"
    (2004), lemma 3.4; features `(n, d)` are centred and `covariance` is theirs.
    """
    count, size = centred.shape
    variance = np.trace(covariance) / size
    squared = np.square(covariance).sum()
    # Mean squared distance of each sample's own covariance from that of all, per dimension.
    lengths = np.einsum("ij,ij->i", centred, centred).astype(np.float64)
    spread = (np.square(lengths).sum() / count - squared) / (size * count)
    distance = squared / size - variance**2
    return 0.0 if spread <= 0 else float(min(1.0, spread / distance)) if distance > 0 else 1.0
