"""Discriminators that tell real from generated, in a training step (eq. 2.3).

Every GAN with a 0/1 discriminator plays through the one class here: GANs on patches, on pairs of a
patch and a latent, and on pairs of patches or of latents.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from semedge_trainer.detectors.base import Networks, StepContext
from semedge_trainer.losses import binary_cross_entropy, mean_norm
from semedge_trainer.spectral import iterate_spectral_vectors
from semedge_trainer.stabilization import Stabilization, instance_noise, labels

Item = tuple[tf.Tensor, ...]
"""What a discriminator judges: a patch, or a pair of which each part is a tensor `(n, ...)`."""

IMAGE_RANK = 4


class Discriminator:
    """A 0/1 discriminator with the stabilizations of 4.2.1.

    Parameters
    ----------
    context
        The training step.
    switches
        Stabilizations; instance noise goes on every image that is judged, and on no latent.
    names
        Networks of the discriminator. The last gives the logit of its features; positive means
        real, or generated where the labels are flipped.
    features
        The features of an item by these networks in training mode. Where None, there is one
        network of features, which takes the parts of an item joined along the last axis.
    """

    def __init__(
        self,
        context: StepContext,
        switches: Stabilization,
        names: tuple[str, ...],
        features: Callable[..., tf.Tensor] | None = None,
    ) -> None:
        self._context = context
        self._switches = switches
        self._names = names
        self._features = features or _single_features(context.networks, names)

    def features(self, *item: tf.Tensor) -> tf.Tensor:
        """Activations before the logit, shape `(n, units)`."""
        return self._features(*(self._noisy(part) for part in item))

    def logits(self, *item: tf.Tensor) -> tf.Tensor:
        """Logits `(n, 1)`."""
        return self._context.networks[self._names[-1]](self.features(*item), training=True)

    def learn(self, real: Item, generated: Item) -> tf.Tensor:
        """One step down -log D(real) - log(1 - D(generated)); gives the loss."""
        for name in self._names:
            iterate_spectral_vectors(self._context.networks[name])
        count = tf.shape(real[0])[0]
        real_labels, generated_labels = labels(count, self._switches, self._context.random)

        def loss() -> tf.Tensor:
            return binary_cross_entropy(real_labels, self.logits(*real)) + binary_cross_entropy(
                generated_labels, self.logits(*generated)
            )

        return self._context.descend(self._names, loss)

    def loss_as_real(self, *generated: tf.Tensor) -> tf.Tensor:
        """-log D(generated): a generator's non-saturating loss, with hard labels."""
        real_labels, _ = self._hard_labels(generated)
        return binary_cross_entropy(real_labels, self.logits(*generated))

    def loss_as_generated(self, *real: tf.Tensor) -> tf.Tensor:
        """-log(1 - D(real)): the same for an encoder, whose pairs count as real."""
        _, generated_labels = self._hard_labels(real)
        return binary_cross_entropy(generated_labels, self.logits(*real))

    def feature_matching(self, real: Item, generated: Item) -> tf.Tensor:
        """Mean over the batch of ||f(real) - f(generated)||, item by item (eq. 2.96)."""
        return mean_norm(self.features(*real) - self.features(*generated))

    def distance_from_mean_features(self, real: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
        """Mean over the batch of ||f(real) - mean f(generated)|| (eq. 2.91)."""
        mean = tf.reduce_mean(self.features(generated), axis=0, keepdims=True)
        return mean_norm(self.features(real) - mean)

    def _noisy(self, part: tf.Tensor) -> tf.Tensor:
        if not self._switches.instance_noise or part.shape.rank != IMAGE_RANK:
            return part
        return instance_noise(part, self._context.epoch, self._context.random)

    def _hard_labels(self, item: Item) -> tuple[tf.Tensor, tf.Tensor]:
        flipping = Stabilization(label_flipping=self._switches.label_flipping)
        return labels(tf.shape(item[0])[0], flipping, self._context.random)


def _single_features(networks: Networks, names: tuple[str, ...]) -> Callable[..., tf.Tensor]:
    network = networks[names[0]]
    return lambda *item: network(tf.concat(item, axis=-1), training=True)
