"""What keeps adversarial training stable (thesis 4.2.1 and 3.2).

Instance noise, soft labels and label flipping are for discriminators that classify as 0 or 1; the
pulling-away term is EBGAN's.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from semedge_trainer.components.randomness import Randomness

NOISE_START = 0.75
NOISE_END = 0.05
NOISE_EPOCHS = 10.0
INVERTED_LABELS = 0.05


@dataclass(frozen=True)
class Stabilization:
    """Switches of the ablation (tables 51-55).

    The options of a detector with a 0/1 discriminator derive from it.
    """

    instance_noise: bool = False
    soft_labels: bool = False
    label_flipping: bool = False


def instance_noise(values: tf.Tensor, epoch: tf.Tensor, random: Randomness) -> tf.Tensor:
    """Add Gaussian noise of sigma = max(0.75 (10 - epoch) / 10, 0.05)."""
    remaining = NOISE_START * (NOISE_EPOCHS - tf.cast(epoch, tf.float32)) / NOISE_EPOCHS
    sigma = tf.maximum(remaining, NOISE_END)
    return values + sigma * random.normal(tf.shape(values))


def labels(
    count: tf.Tensor, switches: Stabilization, random: Randomness
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels of real and of generated items for the discriminator, each `(count, 1)`.

    Soft: real U(0.9, 1), generated U(0, 0.1), and 5 % of either inverted. Flipped: the two
    swapped.
    """
    shape = tf.stack([count, 1])
    real, generated = tf.ones(shape), tf.zeros(shape)
    if switches.soft_labels:
        real = _invert_some(random.uniform(shape, 0.9, 1.0), random)
        generated = _invert_some(random.uniform(shape, 0.0, 0.1), random)
    if switches.label_flipping:
        real, generated = generated, real
    return real, generated


def _invert_some(values: tf.Tensor, random: Randomness) -> tf.Tensor:
    inverted = random.uniform(tf.shape(values), 0.0, 1.0) < INVERTED_LABELS
    return tf.where(inverted, 1.0 - values, values)


def pulling_away(embeddings: tf.Tensor, *, squared: bool = True) -> tf.Tensor:
    """Mean cosine between different embeddings of a batch `(n, d)`, squared as in eq. 3.8.

    The author's code leaves the cosine plain; `squared=False` gives that.
    """
    unit = tf.math.l2_normalize(embeddings, axis=1)
    cosine = tf.matmul(unit, unit, transpose_b=True)
    if squared:
        cosine = tf.square(cosine)
    count = tf.cast(tf.shape(embeddings)[0], cosine.dtype)
    off_diagonal = tf.reduce_sum(cosine) - tf.linalg.trace(cosine)
    return off_diagonal / (count * (count - 1.0))
