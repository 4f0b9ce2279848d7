"""Discriminators that separate real from generated, in a training step (eq. 2.3).

Every GAN with a 0/1 discriminator plays through the one class here: GANs on patches, on pairs of a
patch and a latent, and on pairs of patches or of latents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from semedge_trainer.components.losses import binary_cross_entropy, mean_norm
from semedge_trainer.components.spectral import iterate_spectral_vectors
from semedge_trainer.components.stabilization import (
    Stabilization,
    hard_labels,
    instance_noise,
    labels,
)
from semedge_trainer.detectors.base import Networks, StepContext
from semedge_trainer.detectors.options import PatchOptions

Item = tuple[tf.Tensor, ...]
"""What a discriminator judges: a patch, or a pair of which each part is a tensor `(n, ...)`."""

IMAGE_RANK = 4


@dataclass(frozen=True)
class AdversarialOptions(PatchOptions, Stabilization):
    """Options of a GAN on patches: their side, and the stabilizations of 4.2.1."""


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
        real, or generated where the labels are swapped.
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
        """One step down -log D(real) - log(1 - D(generated)); gives the loss.

        No gradient reaches what made the items, so that a generator's loss can call this on its
        way and be taken against the discriminator that has just learned.
        """
        real, generated = _stopped(real), _stopped(generated)
        for name in self._names:
            iterate_spectral_vectors(self._context.networks[name])
        count = tf.shape(real[0])[0]
        real_labels, generated_labels = labels(
            count, self._switches, self._context.random, self._context.progress
        )

        def loss() -> tf.Tensor:
            return binary_cross_entropy(real_labels, self.logits(*real)) + binary_cross_entropy(
                generated_labels, self.logits(*generated)
            )

        return self._context.descend(self._names, loss)

    def loss_as_real(self, *generated: tf.Tensor) -> tf.Tensor:
        """-log D(generated): a generator's non-saturating loss, with hard labels."""
        real_labels, _ = hard_labels(tf.shape(generated[0])[0], self._switches)
        return binary_cross_entropy(real_labels, self.logits(*generated))

    def loss_as_generated(self, *real: tf.Tensor) -> tf.Tensor:
        """-log(1 - D(real)): the same for an encoder, whose pairs count as real."""
        _, generated_labels = hard_labels(tf.shape(real[0])[0], self._switches)
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
        return instance_noise(part, self._context.progress, self._context.random)


JOINT_NETWORKS = ("features_x", "features_z", "features_xz", "logit_xz")


def joint_discriminator(context: StepContext, switches: Stabilization) -> Discriminator:
    """D(x, z) of a patch and a latent, of `JOINT_NETWORKS`."""
    networks = context.networks
    return Discriminator(
        context, switches, JOINT_NETWORKS, lambda x, z: joint_features(networks, x, z)
    )


def joint_features(networks: Networks, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """f(x, z) in training mode: a branch for each, and both joined."""
    branches = (networks["features_x"](x, training=True), networks["features_z"](z, training=True))
    return networks["features_xz"](tf.concat(branches, axis=-1), training=True)


def pair_discriminator(context: StepContext, switches: Stabilization, pair: str) -> Discriminator:
    """D_xx or D_zz, as `pair` is `xx` or `zz`: separates (a, a) from (a, b)."""
    return Discriminator(context, switches, pair_networks(pair))


def pair_networks(pair: str) -> tuple[str, str]:
    """Names of the networks of D_xx or D_zz."""
    return f"features_{pair}", f"logit_{pair}"


def minimax_loss(real: tf.Tensor, generated: tf.Tensor, switches: Stabilization) -> tf.Tensor:
    """-log D(real) - log(1 - D(generated)) of logits `(n, 1)`, with hard labels."""
    if switches.labels_swapped:
        real, generated = generated, real
    return binary_cross_entropy(tf.ones_like(real), real) + binary_cross_entropy(
        tf.zeros_like(generated), generated
    )


@tf.custom_gradient
def opposed(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """The values, with the gradient negated.

    What made them goes up the loss that what comes after goes down: one gradient for both sides of
    a minimax.
    """
    return tf.identity(values), lambda upstream: -upstream


def _single_features(networks: Networks, names: tuple[str, ...]) -> Callable[..., tf.Tensor]:
    network = networks[names[0]]
    return lambda *item: network(tf.concat(item, axis=-1), training=True)


def _stopped(item: Item) -> Item:
    return tuple(tf.stop_gradient(part) for part in item)
