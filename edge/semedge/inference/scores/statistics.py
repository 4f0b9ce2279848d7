"""Scores by statistics of normal patches: baselines, and scores that beat a residual."""

from __future__ import annotations

import numpy as np

from semedge.inference.scores.distances import (
    ScoreFunction,
    Tensor,
    l2_distance,
    mahalanobis_distance,
)
from semedge.inference.scores.reconstruction import im1
from semedge.inference.sparse_coding import parts_of, sparse_codes

LOG_FLOOR = np.float32(1e-3)
"""Added before a logarithm; a thousandth of the gray range, which is below the noise."""


def embedding_gaussian(h_x: Tensor, h_mean: Tensor, h_whitening: Tensor) -> Tensor:
    """Mahalanobis distance of the embedding h(x) from the training patches' embeddings.

    `h_mean` has shape `(d,)`; `h_whitening` `(d, d)` maps centred embeddings to unit covariance.
    """
    return mahalanobis_distance(h_x, h_mean, h_whitening)


def mean_gray(x: Tensor) -> Tensor:
    """Brightness of the patch, in [-1, 1]: a baseline."""
    return x.reshape(len(x), -1).mean(axis=1)


def deviation(x: Tensor) -> Tensor:
    """Standard deviation of the patch's gray values: a baseline."""
    return x.reshape(len(x), -1).std(axis=1)


def pca_residual(x: Tensor, pca_mean: Tensor, pca_components: Tensor) -> Tensor:
    """Norm of the part of the patch that the principal components of normal patches do not explain.

    `pca_mean` has shape `(pixels,)`; `pca_components` `(pixels, k)`, orthonormal.
    """
    centred = x.reshape(len(x), -1) - pca_mean
    return l2_distance(centred, (centred @ pca_components) @ pca_components.T)


def pca_hotelling(
    x: Tensor, pca_mean: Tensor, pca_components: Tensor, pca_deviations: Tensor
) -> Tensor:
    """Hotelling's T: Mahalanobis distance of the patch within the principal components.

    `pca_deviations` `(k,)` are the components' standard deviations over normal patches.
    """
    flat = x.reshape(len(x), -1)
    return mahalanobis_distance(flat, pca_mean, pca_components / pca_deviations)


def code_indicators(x: Tensor, dictionary_mean: Tensor, dictionary_atoms: Tensor) -> Tensor:
    """Norm of the residual of the sparse code, and L1 norm of the code, shape `(n, 2)`.

    `dictionary_mean` has shape `(d,)`; `dictionary_atoms` `(k, d)`, of unit norm. The patch is
    coded in parts of d pixels; their residuals are joined, and their codes' norms added.
    """
    parts = parts_of(x, len(dictionary_mean)) - dictionary_mean
    codes = sparse_codes(parts.reshape(-1, len(dictionary_mean)), dictionary_atoms)
    residuals = codes.residuals.reshape(len(x), -1)
    lengths = np.abs(codes.coefficients).reshape(len(x), -1).sum(axis=1)
    return np.stack([np.sqrt(np.einsum("ij,ij->i", residuals, residuals)), lengths], axis=1)


def dictionary_residual(x: Tensor, dictionary_mean: Tensor, dictionary_atoms: Tensor) -> Tensor:
    """Norm of the residual of a sparse code over a dictionary of normal patches."""
    return code_indicators(x, dictionary_mean, dictionary_atoms)[:, 0]


def dictionary_l1(x: Tensor, dictionary_mean: Tensor, dictionary_atoms: Tensor) -> Tensor:
    """L1 norm of the patch's sparse code."""
    return code_indicators(x, dictionary_mean, dictionary_atoms)[:, 1]


def dictionary_surprise(
    x: Tensor,
    dictionary_mean: Tensor,
    dictionary_atoms: Tensor,
    c_means: Tensor,
    c_factors: Tensor,
    c_weights: Tensor,
) -> Tensor:
    """How rare the residual and the L1 norm of the sparse code are among normal patches."""
    statistics = code_statistics(x, dictionary_mean, dictionary_atoms)
    return surprise(statistics, c_means, c_factors, c_weights)


def code_statistics(x: Tensor, dictionary_mean: Tensor, dictionary_atoms: Tensor) -> Tensor:
    """Logarithms of `code_indicators`, shape `(n, 2)`."""
    return np.log(code_indicators(x, dictionary_mean, dictionary_atoms) + LOG_FLOOR)


def patch_statistics(x: Tensor) -> Tensor:
    """Brightness, contrast and sharpness of each patch and of its middle, shape `(n, 5)`.

    They are the mean, the log standard deviation and the log gradient norm of the patch, and the
    mean and the log standard deviation of the middle quarter of its area.
    """
    image = x[..., 0]
    quarter = image.shape[1] // 4
    middle = image[:, quarter:-quarter, quarter:-quarter]
    gradient = np.square(np.diff(image, axis=1)).mean(axis=(1, 2))
    gradient += np.square(np.diff(image, axis=2)).mean(axis=(1, 2))
    return np.stack(
        [
            image.mean(axis=(1, 2)),
            np.log(image.std(axis=(1, 2)) + LOG_FLOOR),
            np.log(np.sqrt(gradient) + LOG_FLOOR),
            middle.mean(axis=(1, 2)),
            np.log(middle.std(axis=(1, 2)) + LOG_FLOOR),
        ],
        axis=1,
    )


def residual_statistics(x: Tensor, y: Tensor) -> Tensor:
    """`patch_statistics` and the log residual of the reconstruction, shape `(n, 6)`."""
    return np.column_stack([patch_statistics(x), np.log(im1(x, y) + LOG_FLOOR)])


def surprise(statistics: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor) -> Tensor:
    """Negative log density under a mixture of Gaussians, up to a constant, shape `(n,)`.

    `means` has shape `(k, d)`; `factors` `(k, d, d)`, the Cholesky factors of the precisions;
    `log_weights` `(k,)`, log weight plus log determinant of the factor.
    """
    whitened = np.einsum("nkd,kde->nke", statistics[:, None, :] - means, factors)
    log_density = log_weights - 0.5 * np.square(whitened).sum(axis=2)
    peak = log_density.max(axis=1)
    return -(peak + np.log(np.exp(log_density - peak[:, None]).sum(axis=1)))


def statistics_surprise(x: Tensor, s_means: Tensor, s_factors: Tensor, s_weights: Tensor) -> Tensor:
    """How rare the patch's statistics are among normal patches, without a network: a baseline."""
    return surprise(patch_statistics(x), s_means, s_factors, s_weights)


def statistics_gaussian(x: Tensor, s_mean: Tensor, s_whitening: Tensor) -> Tensor:
    """Mahalanobis distance of the patch's statistics from those of normal patches: a baseline."""
    return mahalanobis_distance(patch_statistics(x), s_mean, s_whitening)


def residual_surprise(
    x: Tensor, y: Tensor, r_means: Tensor, r_factors: Tensor, r_weights: Tensor
) -> Tensor:
    """How rare the residual is among normal patches of this brightness, contrast and sharpness.

    A film or a bead is smooth, so it is reconstructed *better* than fibres, and the plain residual
    ranks it below them; here too small a residual is as suspicious as too large a one.
    """
    return surprise(residual_statistics(x, y), r_means, r_factors, r_weights)


SCORES: tuple[ScoreFunction, ...] = (
    embedding_gaussian,
    mean_gray,
    deviation,
    pca_residual,
    pca_hotelling,
    dictionary_residual,
    dictionary_l1,
    dictionary_surprise,
    statistics_gaussian,
    statistics_surprise,
    residual_surprise,
)
