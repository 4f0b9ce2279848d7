"""Statistics of normal patches that some scores hold a patch against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from semedge.scores import patch_statistics, residual_statistics

Array = NDArray[np.float32]

RIDGE = 1e-3
COMPONENTS = 16
SMALLEST_VARIANCE = 1e-4


def normal_statistics(tensors: Mapping[str, Array], needed: set[str]) -> dict[str, Array]:
    """The arrays among `needed` that describe normal patches.

    Parameters
    ----------
    tensors
        What the networks make of the training patches.
    needed
        Names of the tensors and arrays that scores ask for.
    """
    arrays: dict[str, Array] = {}
    if "h_whitening" in needed:
        arrays |= _gaussian(tensors["h_x"])
    if "s_means" in needed:
        arrays |= _mixture("s", patch_statistics(tensors["x"]))
    if "r_means" in needed:
        arrays |= _mixture("r", residual_statistics(tensors["x"], tensors["y"]))
    return arrays


def _gaussian(embedded: Array) -> dict[str, Array]:
    """Mean and whitening W of embeddings, W W^T = (C + r I)^-1.

    C is the covariance and r a thousandth of its mean variance, which keeps directions that never
    vary from dominating.
    """
    covariance = np.cov(embedded.astype(np.float64), rowvar=False)
    ridge = RIDGE * np.trace(covariance) / len(covariance)
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
    return {
        "h_mean": embedded.mean(axis=0).astype(np.float32),
        "h_whitening": (vectors / np.sqrt(values)).astype(np.float32),
    }


def _mixture(prefix: str, statistics: Array) -> dict[str, Array]:
    """Mixture of Gaussians in the form that `semedge.scores.surprise` takes."""
    mixture = GaussianMixture(COMPONENTS, reg_covar=SMALLEST_VARIANCE, random_state=0)
    mixture.fit(statistics.astype(np.float64))
    factors = mixture.precisions_cholesky_
    log_determinants = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    return {
        f"{prefix}_means": mixture.means_.astype(np.float32),
        f"{prefix}_factors": factors.astype(np.float32),
        f"{prefix}_weights": (np.log(mixture.weights_) + log_determinants).astype(np.float32),
    }
