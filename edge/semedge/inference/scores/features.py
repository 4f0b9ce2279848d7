"""Scores on features of a pretrained network."""

from __future__ import annotations

import numpy as np

from semedge.inference.scores.distances import (
    ScoreFunction,
    Tensor,
    l2_distance,
    relative_distance,
    whitened,
)

NEAREST_WORDS = 5
"""Number of nearest words whose distances are averaged."""


def texture_5(f5: Tensor, f5_mean: Tensor, f5_whitening: Tensor) -> Tensor:
    """Like `texture_6`, of the four places of the 5th block at each place of the 6th."""
    return relative_distance(f5, f5_mean, f5_whitening)


def texture_6(f6: Tensor, f6_mean: Tensor, f6_whitening: Tensor) -> Tensor:
    """How far features of a network's 6th block are from those of normal texture.

    The distance is the squared Mahalanobis distance divided by the number of dimensions, so that
    normal texture has 1 on average. `f6` has shape `(positions, d)`, `f6_mean` `(d,)`;
    `f6_whitening` `(d, k)` maps centred features to unit covariance.
    """
    return relative_distance(f6, f6_mean, f6_whitening)


def texture_9(f9: Tensor, f9_mean: Tensor, f9_whitening: Tensor) -> Tensor:
    """Like `texture_6`, of the 9th block."""
    return relative_distance(f9, f9_mean, f9_whitening)


def texture_12(f12: Tensor, f12_mean: Tensor, f12_whitening: Tensor) -> Tensor:
    """Like `texture_6`, of the expansion of the 12th block."""
    return relative_distance(f12, f12_mean, f12_whitening)


def unforeseen_5(
    f5: Tensor,
    s5: Tensor,
    f5_mean: Tensor,
    f5_whitening: Tensor,
    e5_mean: Tensor,
    e5_whitening: Tensor,
) -> Tensor:
    """Like `unforeseen_6`, of the four places of the 5th block at each place of the 6th."""
    return relative_distance(whitened(f5, f5_mean, f5_whitening) - s5, e5_mean, e5_whitening)


def unforeseen_6(
    f6: Tensor,
    s6: Tensor,
    f6_mean: Tensor,
    f6_whitening: Tensor,
    e6_mean: Tensor,
    e6_whitening: Tensor,
) -> Tensor:
    """How far a student's prediction error of the 6th block is from that of normal texture.

    The error is the whitened features `(positions, k)` minus the student's prediction `s6`, and its
    distance is that of `texture_6`; `e6_mean` `(k,)` and `e6_whitening` `(k, k)` are those of the
    errors on normal texture.
    """
    return relative_distance(whitened(f6, f6_mean, f6_whitening) - s6, e6_mean, e6_whitening)


def unforeseen_9(
    f9: Tensor,
    s9: Tensor,
    f9_mean: Tensor,
    f9_whitening: Tensor,
    e9_mean: Tensor,
    e9_whitening: Tensor,
) -> Tensor:
    """Like `unforeseen_6`, of the 9th block."""
    return relative_distance(whitened(f9, f9_mean, f9_whitening) - s9, e9_mean, e9_whitening)


def feature_energy(w: Tensor, d_x: Tensor) -> Tensor:
    """Energy of the whitened features w of a place, ||w - D(w)|| (thesis eq. 3.7)."""
    return l2_distance(w, d_x)


def feature_residual(w: Tensor, y: Tensor) -> Tensor:
    """Residual of the reconstruction of the whitened features, ||w - G(E(w))||."""
    return l2_distance(w, y)


def feature_norm(w: Tensor) -> Tensor:
    """Distance of the features from their normal mean, ||w||: a baseline without a network."""
    return l2_distance(w, np.zeros_like(w))


def self_similarity(
    f_x: Tensor, words_mean: Tensor, words_projection: Tensor, words: Tensor
) -> Tensor:
    """Mean distance of the patch's features to the nearest words of normal patches.

    `words_mean` `(d,)` is subtracted from the features; `words_projection` `(d, k)` maps them to
    the space of the words, `words` `(m, k)`.
    """
    projected = (f_x - words_mean) @ words_projection
    differences = projected[:, None, :] - words
    distances = np.sqrt(np.square(differences).sum(axis=2))
    nearest = min(NEAREST_WORDS, len(words))
    return np.partition(distances, nearest - 1, axis=1)[:, :nearest].mean(axis=1)


SCORES: tuple[ScoreFunction, ...] = (
    self_similarity,
    texture_5,
    texture_6,
    texture_9,
    texture_12,
    unforeseen_5,
    unforeseen_6,
    unforeseen_9,
    feature_energy,
    feature_residual,
    feature_norm,
)
