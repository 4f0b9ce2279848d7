"""Statistics of normal patches, with which some scores compare a patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from semedge.inference.scores.statistics import patch_statistics, residual_statistics

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
    for name in NORMAL_STATISTICS.keys() & needed:
        arrays |= NORMAL_STATISTICS[name](tensors)
    return arrays


def gaussian(prefix: str, values: Array) -> dict[str, Array]:
    """Mean and whitening W of values `(n, d)`, W W^T = (C + r I)^-1.

    C is the covariance and r a thousandth of its mean variance, which keeps directions that never
    vary from dominating.
    """
    covariance = np.cov(values.astype(np.float64), rowvar=False)
    ridge = RIDGE * np.trace(covariance) / len(covariance)
    variances, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
    return {
        f"{prefix}_mean": values.mean(axis=0).astype(np.float32),
        f"{prefix}_whitening": (vectors / np.sqrt(variances)).astype(np.float32),
    }


def mixture(prefix: str, statistics: Array) -> dict[str, Array]:
    """Mixture of Gaussians in the form that `semedge.inference.scores.surprise` takes."""
    model = GaussianMixture(COMPONENTS, reg_covar=SMALLEST_VARIANCE, random_state=0)
    model.fit(statistics.astype(np.float64))
    factors = model.precisions_cholesky_
    log_determinants = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    return {
        f"{prefix}_means": model.means_.astype(np.float32),
        f"{prefix}_factors": factors.astype(np.float32),
        f"{prefix}_weights": (np.log(model.weights_) + log_determinants).astype(np.float32),
    }


NORMAL_STATISTICS: dict[str, Callable[[Mapping[str, Array]], dict[str, Array]]] = {
    "h_whitening": lambda tensors: gaussian("h", tensors["h_x"]),
    "s_means": lambda tensors: mixture("s", patch_statistics(tensors["x"])),
    "r_means": lambda tensors: mixture("r", residual_statistics(tensors["x"], tensors["y"])),
}
"""What describes normal patches, by the name of an array that scores ask for."""
