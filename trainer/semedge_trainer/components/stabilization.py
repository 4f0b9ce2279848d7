"""What keeps adversarial training stable (thesis 4.2.1 and 3.2).

Instance noise, soft labels and label flipping are for discriminators that classify as 0 or 1; the
pulling-away term is EBGAN's. The thesis names them without figures: those of the noise and of the
soft labels are the author's code's.

Label flipping is worded as "flipping labels of the true and generated images [...] early on in the
training": a label that the discriminator learns by is the other one with a probability, in the
first share of the schedule (`early`) or all through it (`random`); probability and share are
chosen here. The author's code swaps the labels of discriminator and generator for ever (`swap`).
That is a renaming: with the logit layer negated, the training is the same, number for number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import tensorflow as tf

from semedge.core.errors import SemedgeError
from semedge_trainer.components.randomness import Randomness

NOISE_START = 0.75
NOISE_END = 0.05
NOISE_SHARE = 0.2
"""Share of the schedule in which the noise decays: 10 of the appendix's 50 epochs."""
INVERTED_LABELS = 0.05
LABEL_FLIPPINGS = ("none", "early", "random", "swap")


@dataclass(frozen=True)
class Stabilization:
    """Switches of the ablation (tables 51-55).

    The options of a detector with a 0/1 discriminator derive from it.

    Attributes
    ----------
    instance_noise, soft_labels
        Whether they are on.
    label_flipping
        `none`; `early` or `random`: each label that the discriminator learns by is flipped with
        `flipping_probability`, in the first `flipping_share` of the schedule or all through it;
        `swap`: the labels of discriminator and generator are swapped, which renames them.
    """

    instance_noise: bool = False
    soft_labels: bool = False
    label_flipping: str = field(default="none", metadata={"choices": LABEL_FLIPPINGS})
    flipping_probability: float = 0.2
    flipping_share: float = 0.2

    def __post_init__(self) -> None:
        for name in ("flipping_probability", "flipping_share"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise SemedgeError(f"Option {name} must be between 0 and 1. Received: {value}")

    @property
    def labels_swapped(self) -> bool:
        """Whether a positive logit means generated."""
        return self.label_flipping == "swap"

    def flipped_share(self, progress: tf.Tensor) -> tf.Tensor | float:
        """Share of the discriminator's labels that are flipped at this point of the schedule."""
        if self.label_flipping == "early":
            return tf.where(progress < self.flipping_share, self.flipping_probability, 0.0)
        return self.flipping_probability if self.label_flipping == "random" else 0.0


def instance_noise(values: tf.Tensor, progress: tf.Tensor, random: Randomness) -> tf.Tensor:
    """Add Gaussian noise of sigma = max(0.75 (0.2 - progress) / 0.2, 0.05).

    `progress` is the share of the schedule that is done.
    """
    remaining = NOISE_START * (1.0 - tf.cast(progress, tf.float32) / NOISE_SHARE)
    sigma = tf.maximum(remaining, NOISE_END)
    return values + sigma * random.normal(tf.shape(values))


def hard_labels(count: tf.Tensor, switches: Stabilization) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels of real and of generated items for a generator, each `(count, 1)`: 1 and 0."""
    shape = tf.stack([count, 1])
    return _named(tf.ones(shape), tf.zeros(shape), switches)


def labels(
    count: tf.Tensor, switches: Stabilization, random: Randomness, progress: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels of real and of generated items for the discriminator, each `(count, 1)`.

    Soft: real U(0.9, 1), generated U(0, 0.1), and 5 % of either inverted. Flipped: some of
    either inverted, as `switches` and the share of the schedule that is done say.
    """
    shape = tf.stack([count, 1])
    real, generated = tf.ones(shape), tf.zeros(shape)
    if switches.soft_labels:
        real = _invert_some(random.uniform(shape, 0.9, 1.0), INVERTED_LABELS, random)
        generated = _invert_some(random.uniform(shape, 0.0, 0.1), INVERTED_LABELS, random)
    if switches.label_flipping in ("early", "random"):
        share = switches.flipped_share(progress)
        real = _invert_some(real, share, random)
        generated = _invert_some(generated, share, random)
    return _named(real, generated, switches)


def _named(
    real: tf.Tensor, generated: tf.Tensor, switches: Stabilization
) -> tuple[tf.Tensor, tf.Tensor]:
    return (generated, real) if switches.labels_swapped else (real, generated)


def _invert_some(values: tf.Tensor, share: tf.Tensor | float, random: Randomness) -> tf.Tensor:
    inverted = random.uniform(tf.shape(values), 0.0, 1.0) < share
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
