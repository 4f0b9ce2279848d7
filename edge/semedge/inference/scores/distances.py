"""Distances between the elements of a batch, which scores are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.float32]
ScoreFunction = Callable[..., Tensor]


def l1_distance(a: Tensor, b: Tensor) -> Tensor:
    """Sum of absolute differences of each element, shape `(n,)`."""
    return np.abs(a - b).reshape(len(a), -1).sum(axis=1)


def l2_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distance of each element, shape `(n,)`."""
    difference = (a - b).reshape(len(a), -1)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distance of each element divided by its number of values, shape `(n,)`."""
    difference = (a - b).reshape(len(a), -1)
    squares: Tensor = np.einsum("ij,ij->i", difference, difference)
    return squares / np.float32(difference.shape[1])


def minus_log_sigmoid(logits: Tensor) -> Tensor:
    """-log sigmoid of each logit of `(n, 1)`, shape `(n,)`."""
    values: Tensor = np.logaddexp(np.float32(0.0), -logits)[:, 0]
    return values


def mahalanobis_distance(values: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """Norm of values `(n, d)` that were centred and mapped to unit covariance, shape `(n,)`."""
    whitened = (values - mean) @ whitening
    return np.sqrt(np.einsum("ij,ij->i", whitened, whitened))


def relative_distance(values: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """Squared Mahalanobis distance divided by the number of dimensions, shape `(n,)`."""
    found = whitened(values, mean, whitening)
    return np.einsum("ij,ij->i", found, found) / np.float32(whitening.shape[1])


def whitened(values: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """Values `(n, d)` centred and mapped to unit covariance, `(n, k)`; `whitening` is `(d, k)`."""
    found = values @ whitening
    found -= mean @ whitening
    return found
