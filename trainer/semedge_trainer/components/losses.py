"""Distances and energies that several detectors share."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from semedge_trainer.components.randomness import Randomness

SMALLEST_SQUARE = 1e-12
"""Keeps the gradient of a norm finite at zero."""


def mean_norm(difference: tf.Tensor) -> tf.Tensor:
    """Mean over the batch of the Euclidean norm of each item, not squared."""
    flat = tf.reshape(tf.cast(difference, tf.float32), (tf.shape(difference)[0], -1))
    return tf.reduce_mean(tf.sqrt(tf.reduce_sum(tf.square(flat), axis=1) + SMALLEST_SQUARE))


def mean_l1(difference: tf.Tensor) -> tf.Tensor:
    """Mean over the batch of the sum of absolute values of each item."""
    flat = tf.reshape(tf.cast(difference, tf.float32), (tf.shape(difference)[0], -1))
    return tf.reduce_mean(tf.reduce_sum(tf.abs(flat), axis=1))


def mean_squared_norm(difference: tf.Tensor) -> tf.Tensor:
    """Mean over the batch of the squared Euclidean norm of each item (eq. 2.31)."""
    squares = tf.square(tf.cast(difference, tf.float32))
    return tf.reduce_mean(tf.reduce_sum(squares, axis=list(range(1, len(difference.shape)))))


def mean_square(difference: tf.Tensor) -> tf.Tensor:
    """Mean over the batch of ||.||^2 / n, n the values of an item (eq. 3.1 to 3.3)."""
    return tf.reduce_mean(tf.square(tf.cast(difference, tf.float32)))


def binary_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of logits `(n, 1)` against labels of the same shape."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
    return tf.reduce_mean(losses)


def interpolate(a: tf.Tensor, b: tf.Tensor, random: Randomness) -> tf.Tensor:
    """For each item a point on the line from that of `b` to that of `a`, uniformly drawn."""
    share = random.uniform((tf.shape(a)[0], *[1] * (len(a.shape) - 1)), 0.0, 1.0)
    return share * a + (1.0 - share) * b


def gradient_penalty(critic: Callable[[tf.Tensor], tf.Tensor], points: tf.Tensor) -> tf.Tensor:
    """Mean of (||gradient of the critic at a point|| - 1)^2 (Gulrajani et al. 2017, eq. 3).

    Parameters
    ----------
    critic
        Gives each point a value `(n, 1)` that depends on no other point.
    points
        Where the slope should be 1, between real and generated items, shape `(n, ...)`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(points)
        values = critic(points)
    gradients = tape.gradient(values, points)
    squares = tf.reduce_sum(tf.square(gradients), axis=list(range(1, len(points.shape))))
    return tf.reduce_mean(tf.square(tf.sqrt(squares + SMALLEST_SQUARE) - 1.0))
