"""Frames to seeded random patches, through tf.data."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from semedge.inference.scaling import STANDARD_DEVIATIONS, Scaling
from semedge_trainer.training.frames import TrainingFrames


def patch_dataset(
    frames: TrainingFrames,
    *,
    patch_px: int,
    batch: int,
    seed: int,
    first_step: int,
    scaling: Scaling = "range",
) -> tf.data.Dataset:
    """Batches of random crops with random flips, float32 `(batch, patch_px, patch_px, 1)`.

    Batch number n is a function of `(seed, n)` alone, so a training that starts again at
    `first_step` sees what it would have seen. Every frame is as likely as any other, whatever its
    size, as the author's code takes as many crops from each.
    """
    pixels = tf.constant(np.concatenate([image.ravel() for image in frames.images]))
    heights = tf.constant([image.shape[0] for image in frames.images], tf.int32)
    widths = tf.constant([image.shape[1] for image in frames.images], tf.int32)
    starts = tf.constant(np.cumsum([0] + [image.size for image in frames.images[:-1]]), tf.int32)
    full_scale = float(np.iinfo(frames.images[0].dtype).max)
    within = tf.range(patch_px)

    def crop(step: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform((5, batch), tf.stack([seed, tf.cast(step, tf.int32)]))
        frame = _pick(draws[0], tf.fill((batch,), len(frames.images)))
        height, width = tf.gather(heights, frame), tf.gather(widths, frame)
        top = _pick(draws[1], height - patch_px + 1)
        left = _pick(draws[2], width - patch_px + 1)
        rows = _flip(within, draws[3])
        columns = _flip(within, draws[4])
        at = (
            tf.gather(starts, frame)[:, None, None]
            + (top[:, None, None] + rows[:, :, None]) * width[:, None, None]
            + left[:, None, None]
            + columns[:, None, :]
        )
        return _scale(tf.cast(tf.gather(pixels, at), tf.float32)[..., None], full_scale, scaling)

    def _flip(positions: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        return tf.where(draw[:, None] < 0.5, positions, patch_px - 1 - positions)

    # Nothing is left to tune, and the tuner keeps a closed iterator waiting for up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int32).max)
    return steps.map(crop, num_parallel_calls=1).prefetch(2).with_options(options)


def _pick(draw: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Integer in [0, count) from a uniform draw in [0, 1)."""
    return tf.minimum(tf.cast(draw * tf.cast(count, tf.float32), tf.int32), count - 1)


def _scale(patches: tf.Tensor, full_scale: float, scaling: Scaling) -> tf.Tensor:
    """The same scaling as `semedge.inference.scaling.scale_patches`."""
    if scaling == "range":
        return patches * (2.0 / full_scale) - 1.0
    mean, variance = tf.nn.moments(patches, axes=(1, 2, 3), keepdims=True)
    deviation = STANDARD_DEVIATIONS * tf.maximum(tf.sqrt(variance), 1e-6)
    return tf.clip_by_value((patches - mean) / deviation, -1.0, 1.0)
