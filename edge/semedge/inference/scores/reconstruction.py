"""Scores of the reconstruction of a patch: those of the thesis and of its sources."""

from __future__ import annotations

from semedge.inference.scores.distances import (
    ScoreFunction,
    Tensor,
    l1_distance,
    l2_distance,
    mean_square,
    minus_log_sigmoid,
)


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
    """Latents of the patch and of its reconstruction, ||E_G(x) - E_R(G(E_G(x)))||."""
    return l2_distance(z, z_y)


def final_2(z: Tensor, h_y: Tensor) -> Tensor:
    """Latent, compared with the embedding of the reconstruction, ||E_G(x) - h(G(E_G(x)))||."""
    return l2_distance(z, h_y)


def final_3(h_x: Tensor, h_y: Tensor) -> Tensor:
    """Embeddings of the patch and of its reconstruction, ||h(x) - h(G(E_G(x)))||."""
    return l2_distance(h_x, h_y)


def features_xz(f_xz: Tensor, f_yz: Tensor) -> Tensor:
    """L1 distance of D(x, z)'s features, (x, E(x)) and (G(E(x)), E(x)) (eq. 2.33)."""
    return l1_distance(f_xz, f_yz)


def features_xz_l2(f_xz: Tensor, f_yz: Tensor) -> Tensor:
    """Like `features_xz`, in L2."""
    return l2_distance(f_xz, f_yz)


def cross_entropy_xz(l_xz: Tensor) -> Tensor:
    """How little the pair (x, E(x)) looks real to D(x, z), -log D(x, E(x))."""
    return minus_log_sigmoid(l_xz)


def cross_entropy_xz_flipped(l_xz: Tensor) -> Tensor:
    """Like `cross_entropy_xz`, where D was trained with flipped labels and gives real pairs 0."""
    return minus_log_sigmoid(-l_xz)


def denoised(x: Tensor, n_y: Tensor) -> Tensor:
    """What the denoiser does not restore, ||x - N(G(E_G(x)))||."""
    return l2_distance(x, n_y)


def denoised_l1(x: Tensor, n_y: Tensor) -> Tensor:
    """Like `denoised`, in L1, sum|x - N(G(E_G(x)))|."""
    return l1_distance(x, n_y)


def features_xx(f_xx: Tensor, f_xy: Tensor) -> Tensor:
    """L1 distance of the pair discriminator's features, (x, x) and (x, G(E_G(x)))."""
    return l1_distance(f_xx, f_xy)


def cross_entropy_xx(l_xy: Tensor) -> Tensor:
    """How little (x, G(E(x))) looks like (x, x) to D_xx, -log D_xx(x, G(E(x))) (eq. 2.90)."""
    return minus_log_sigmoid(l_xy)


def cross_entropy_xx_flipped(l_xy: Tensor) -> Tensor:
    """Like `cross_entropy_xx`, where D_xx was trained with flipped labels."""
    return minus_log_sigmoid(-l_xy)


def features_zz(f_zz: Tensor, f_zy: Tensor) -> Tensor:
    """L1 distance of the latent pair discriminator's features, (z, z) and (z, E_R(G(z)))."""
    return l1_distance(f_zz, f_zy)


def residual_l1(x: Tensor, y: Tensor) -> Tensor:
    """Residual of the reconstruction in L1, sum|x - G(E(x))| (eq. 2.32)."""
    return l1_distance(x, y)


def features_l2(f_x: Tensor, f_y: Tensor) -> Tensor:
    """Features of the patch and of its reconstruction, ||f(x) - f(G(x))|| (eq. 2.96)."""
    return l2_distance(f_x, f_y)


def latent_l1(z: Tensor, z_y: Tensor) -> Tensor:
    """Latents of the patch and of its reconstruction in L1, sum|G_E(x) - E(G(x))| (eq. 2.95)."""
    return l1_distance(z, z_y)


def mean_square_residual(x: Tensor, y: Tensor) -> Tensor:
    """A_R(x) of eq. 3.5, ||x - G(E(x))||^2 / n."""
    return mean_square(x, y)


def mean_square_features(f_x: Tensor, f_y: Tensor) -> Tensor:
    """A_D(x) of eq. 3.6, ||f(x) - f(G(E(x)))||^2 / n_d, f the discriminator's features."""
    return mean_square(f_x, f_y)


SCORES: tuple[ScoreFunction, ...] = (
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
)
