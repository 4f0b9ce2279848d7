"""Distances and energies that several detectors share."""

from __future__ import annotations

import tensorflow as tf

SMALLEST_SQUARE = 1e-12
"""Keeps the gradient of a norm finite at zero."""


def mean_norm(difference: tf.Tensor) -> tf.Tensor:
    """Mean over the batch of the Euclidean norm of each item, not squared."""
    flat = tf.reshape(tf.cast(difference, tf.float32), (tf.shape(difference)[0], -1))
    return tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(flat), axis=1) + SMALLEST_SQUARE))


def binary_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of logits `(n, 1)` against labels of the same shape."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
    return tf.reduce_mean(losses)
