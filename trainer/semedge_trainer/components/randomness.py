"""Random numbers that depend on the seed and the step alone."""

from __future__ import annotations

import tensorflow as tf


class Randomness:
    """Stateless random tensors of one training step.

    The n-th draw of a step is the same in every run with the same seed, also after `--resume`.

    Parameters
    ----------
    seed
        Seed of the run.
    step
        Step within the stage, a scalar int tensor.
    replica
        Which replica draws; each has numbers of its own.
    """

    def __init__(self, seed: int, step: tf.Tensor, replica: tf.Tensor | int = 0) -> None:
        self._seed = tf.cast(seed, tf.int32)
        self._step = tf.cast(step, tf.int32)
        self._replica = tf.cast(replica, tf.int32)
        self._draws = 0

    def normal(self, shape: tuple[int, ...] | tf.Tensor) -> tf.Tensor:
        """Standard normal values, float32."""
        return tf.random.stateless_normal(shape, self._next())

    def uniform(self, shape: tuple[int, ...] | tf.Tensor, low: float, high: float) -> tf.Tensor:
        """Uniform values in [low, high), float32."""
        return tf.random.stateless_uniform(shape, self._next(), low, high)

    def _next(self) -> tf.Tensor:
        self._draws += 1
        stream = self._seed * 1009 + self._draws * 31 + self._replica
        return tf.stack([stream, self._step])
