"""Anomaly scores of patches, as plain NumPy functions.

A score function's parameters are the names of the tensors that it needs: `x` the patches,
`y` = G(E(x)) their reconstruction, `z` = E(x) their latent, `h_x` and `h_y` the discriminator's
embeddings, `d_x` and `d_y` its reconstructions, `f_x` and `f_y` a discriminator's features, `z_y`
the latent that a second encoder finds in `y`, `f_ab` and `l_ab` the features and the logit that a
discriminator of pairs gives (a, b). The detector computes the tensors that the wanted scores name,
and no others. The trainer evaluates with these same functions.

Norms run over everything but the batch and are not squared.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from semedge.sparse import parts_of, sparse_codes

Tensor = NDArray[np.float32]
ScoreFunction = Callable[..., Tensor]

LOG_FLOOR = np.float32(1e-3)
"""Added before a logarithm; a thousandth of the range of gray values is below the noise."""

NEAREST_WORDS = 5
"""Words whose distances are averaged."""


def l1_distance(a: Tensor, b: Tensor) -> Tensor:
    """Sum of absolute differences of each item, shape `(n,)`."""
    return np.abs(a - b).reshape(len(a), -1).sum(axis=1)


def l2_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distance of each item, shape `(n,)`."""
    difference = (a - b).reshape(len(a), -1)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distance of each item divided by its number of values, shape `(n,)`."""
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
    """Squared Mahalanobis distance by the number of its dimensions, shape `(n,)`."""
    whitened = values @ whitening
    whitened -= mean @ whitening
    return np.einsum("ij,ij->i", whitened, whitened) / np.float32(whitening.shape[1])


def im1(x: Tensor, y: Tensor) -> Tensor:
    """Residual of the reconstruction, ||x - G(E(x))||."""
    return l2_distance(x, y)


def im2(d_x: Tensor, d_y: Tensor) -> Tensor:
    """Residual as the energy network sees it, ||D(x) - D(G(E(x)))||."""
    return l2_distance(d_x, d_y)


def energy(x: Tensor, d_x: Tensor) -> Tensor:
    """Energy of the patch, ||x - D(x)|| (thesis eq. 3.7)."""
    return l2_distance(x, d_x)


def final_1(z: Tensor, z_y: Tensor) -> Tensor:
    """What the second encoder does not find again, ||E_G(x) - E_R(G(E_G(x)))||."""
    return l2_distance(z, z_y)


def final_2(z: Tensor, h_y: Tensor) -> Tensor:
    """Latent against embedding of the reconstruction, ||E_G(x) - h(G(E_G(x)))||."""
    return l2_distance(z, h_y)


def final_3(h_x: Tensor, h_y: Tensor) -> Tensor:
    """Embeddings before and after, ||h(x) - h(G(E_G(x)))||."""
    return l2_distance(h_x, h_y)


def features_xz(f_xz: Tensor, f_yz: Tensor) -> Tensor:
    """L1 distance of D(x, z)'s features, (x, E(x)) against (G(E(x)), E(x)) (eq. 2.33)."""
    return l1_distance(f_xz, f_yz)


def features_xz_l2(f_xz: Tensor, f_yz: Tensor) -> Tensor:
    """The same in L2."""
    return l2_distance(f_xz, f_yz)


def cross_entropy_xz(l_xz: Tensor) -> Tensor:
    """How little the pair (x, E(x)) looks real to D(x, z), -log D(x, E(x))."""
    return minus_log_sigmoid(l_xz)


def cross_entropy_xz_flipped(l_xz: Tensor) -> Tensor:
    """The same where D was trained with flipped labels and gives real pairs 0."""
    return minus_log_sigmoid(-l_xz)


def denoised(x: Tensor, n_y: Tensor) -> Tensor:
    """What the denoiser does not restore, ||x - N(G(E_G(x)))||."""
    return l2_distance(x, n_y)


def denoised_l1(x: Tensor, n_y: Tensor) -> Tensor:
    """The same in L1, sum|x - N(G(E_G(x)))|."""
    return l1_distance(x, n_y)


def features_xx(f_xx: Tensor, f_xy: Tensor) -> Tensor:
    """L1 distance of the pair discriminator's features, (x, x) against (x, G(E_G(x)))."""
    return l1_distance(f_xx, f_xy)


def cross_entropy_xx(l_xy: Tensor) -> Tensor:
    """How little (x, G(E(x))) looks like (x, x) to D_xx, -log D_xx(x, G(E(x))) (eq. 2.90)."""
    return minus_log_sigmoid(l_xy)


def cross_entropy_xx_flipped(l_xy: Tensor) -> Tensor:
    """The same where D_xx was trained with flipped labels."""
    return minus_log_sigmoid(-l_xy)


def features_zz(f_zz: Tensor, f_zy: Tensor) -> Tensor:
    """L1 distance of the latent pair discriminator's features, (z, z) against (z, E_R(G(z)))."""
    return l1_distance(f_zz, f_zy)


def residual_l1(x: Tensor, y: Tensor) -> Tensor:
    """Residual of the reconstruction in L1, sum|x - G(E(x))| (eq. 2.32)."""
    return l1_distance(x, y)


def features_l2(f_x: Tensor, f_y: Tensor) -> Tensor:
    """Features before and after, ||f(x) - f(G(x))|| (eq. 2.96)."""
    return l2_distance(f_x, f_y)


def latent_l1(z: Tensor, z_y: Tensor) -> Tensor:
    """What the second encoder does not find again, in L1, sum|G_E(x) - E(G(x))| (eq. 2.95)."""
    return l1_distance(z, z_y)


def mean_square_residual(x: Tensor, y: Tensor) -> Tensor:
    """A_R(x) of eq. 3.5, ||x - G(E(x))||^2 / n."""
    return mean_square(x, y)


def mean_square_features(f_x: Tensor, f_y: Tensor) -> Tensor:
    """A_D(x) of eq. 3.6, ||f(x) - f(G(E(x)))||^2 / n_d, f the discriminator's features."""
    return mean_square(f_x, f_y)


def embedding_gaussian(h_x: Tensor, h_mean: Tensor, h_whitening: Tensor) -> Tensor:
    """Mahalanobis distance of the embedding h(x) from the training patches' embeddings.

    `h_mean` has shape `(d,)`; `h_whitening` `(d, d)` maps centred embeddings to unit covariance.
    """
    return mahalanobis_distance(h_x, h_mean, h_whitening)


def mean_gray(x: Tensor) -> Tensor:
    """Brightness of the patch, in [-1, 1]: a floor."""
    return x.reshape(len(x), -1).mean(axis=1)


def deviation(x: Tensor) -> Tensor:
    """Standard deviation of the patch's gray values: a floor."""
    return x.reshape(len(x), -1).std(axis=1)


def pca_residual(x: Tensor, pca_mean: Tensor, pca_components: Tensor) -> Tensor:
    """What the principal components of normal patches leave of the patch, its norm.

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
    """Norm of what the sparse code leaves of the patch, and L1 norm of the code, shape `(n, 2)`.

    `dictionary_mean` has shape `(d,)`; `dictionary_atoms` `(k, d)`, of unit norm. The patch is
    coded in parts of d pixels; their residuals are joined, and their codes' norms added.
    """
    parts = parts_of(x, len(dictionary_mean)) - dictionary_mean
    codes = sparse_codes(parts.reshape(-1, len(dictionary_mean)), dictionary_atoms)
    residuals = codes.residuals.reshape(len(x), -1)
    lengths = np.abs(codes.coefficients).reshape(len(x), -1).sum(axis=1)
    return np.stack([np.sqrt(np.einsum("ij,ij->i", residuals, residuals)), lengths], axis=1)


def dictionary_residual(x: Tensor, dictionary_mean: Tensor, dictionary_atoms: Tensor) -> Tensor:
    """What a sparse code over a dictionary of normal patches leaves of the patch, its norm."""
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


def texture_5(f5: Tensor, f5_mean: Tensor, f5_whitening: Tensor) -> Tensor:
    """As `texture_6`, of the four places of the 5th block's output at each place of the 6th's."""
    return relative_distance(f5, f5_mean, f5_whitening)


def texture_6(f6: Tensor, f6_mean: Tensor, f6_whitening: Tensor) -> Tensor:
    """How far features of a network's 6th block are from those of normal texture.

    The squared Mahalanobis distance by the number of dimensions, so that normal texture has 1 on
    average. `f6` has shape `(positions, d)`, `f6_mean` `(d,)`; `f6_whitening` `(d, k)` maps centred
    features to unit covariance.
    """
    return relative_distance(f6, f6_mean, f6_whitening)


def texture_9(f9: Tensor, f9_mean: Tensor, f9_whitening: Tensor) -> Tensor:
    """As `texture_6`, of the 9th block."""
    return relative_distance(f9, f9_mean, f9_whitening)


def texture_12(f12: Tensor, f12_mean: Tensor, f12_whitening: Tensor) -> Tensor:
    """As `texture_6`, of the 12th block's expansion."""
    return relative_distance(f12, f12_mean, f12_whitening)


def feature_energy(w: Tensor, d_x: Tensor) -> Tensor:
    """Energy of a place's whitened features w, ||w - D(w)|| (thesis eq. 3.7)."""
    return l2_distance(w, d_x)


def feature_residual(w: Tensor, y: Tensor) -> Tensor:
    """Residual of their reconstruction, ||w - G(E(w))||."""
    return l2_distance(w, y)


def feature_norm(w: Tensor) -> Tensor:
    """How far they are from normal features' mean, ||w||: a floor that no network needs."""
    return l2_distance(w, np.zeros_like(w))


def self_similarity(
    f_x: Tensor, words_mean: Tensor, words_projection: Tensor, words: Tensor
) -> Tensor:
    """Mean distance of the patch's features to the nearest words of normal patches.

    `words_mean` `(d,)` is taken off the features; `words_projection` `(d, k)` maps them to the
    space of the words, `words` `(m, k)`.
    """
    projected = (f_x - words_mean) @ words_projection
    differences = projected[:, None, :] - words
    distances = np.sqrt(np.square(differences).sum(axis=2))
    nearest = min(NEAREST_WORDS, len(words))
    return np.partition(distances, nearest - 1, axis=1)[:, :nearest].mean(axis=1)


def patch_statistics(x: Tensor) -> Tensor:
    """Brightness, contrast and sharpness of each patch and of its middle, shape `(n, 5)`.

    Mean, log standard deviation, log gradient norm, and mean and log standard deviation of the
    middle quarter of the area.
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
    """How rare the patch's statistics are among normal patches, without any network: a floor."""
    return surprise(patch_statistics(x), s_means, s_factors, s_weights)


def statistics_gaussian(x: Tensor, s_mean: Tensor, s_whitening: Tensor) -> Tensor:
    """Mahalanobis distance of the patch's statistics from those of normal patches: a floor."""
    return mahalanobis_distance(patch_statistics(x), s_mean, s_whitening)


def residual_surprise(
    x: Tensor, y: Tensor, r_means: Tensor, r_factors: Tensor, r_weights: Tensor
) -> Tensor:
    """How rare the residual is among normal patches of this brightness, contrast and sharpness.

    A film or a bead is smooth, so it is reconstructed *better* than fibres, and the plain residual
    ranks it below them; here a residual that is too small is as suspicious as one too large.
    """
    return surprise(residual_statistics(x, y), r_means, r_factors, r_weights)


SCORES: dict[str, ScoreFunction] = {
    function.__name__: function
    for function in (
        im1,
        im2,
        energy,
        final_1,
        final_2,
        final_3,
        denoised,
        denoised_l1,
        features_xz,
        features_xz_l2,
        cross_entropy_xz,
        cross_entropy_xz_flipped,
        features_xx,
        cross_entropy_xx,
        cross_entropy_xx_flipped,
        features_zz,
        residual_l1,
        features_l2,
        latent_l1,
        mean_square_residual,
        mean_square_features,
        embedding_gaussian,
        mean_gray,
        deviation,
        pca_residual,
        pca_hotelling,
        dictionary_residual,
        dictionary_l1,
        dictionary_surprise,
        self_similarity,
        statistics_gaussian,
        texture_5,
        texture_6,
        texture_9,
        texture_12,
        feature_energy,
        feature_residual,
        feature_norm,
        statistics_surprise,
        residual_surprise,
    )
}


def tensors_needed(score_names: Iterable[str]) -> set[str]:
    """Names of the tensors that these scores are computed from."""
    return {
        parameter
        for name in score_names
        for parameter in inspect.signature(SCORES[name]).parameters
    }


def weighted_score(weights: Mapping[str, float], tensors: Mapping[str, Tensor]) -> Tensor:
    """Weighted sum of elementary scores, shape `(n,)`."""
    terms = [
        np.float32(weight) * SCORES[name](**{key: tensors[key] for key in tensors_needed([name])})
        for name, weight in weights.items()
    ]
    total: Tensor = np.sum(terms, axis=0)
    return total
