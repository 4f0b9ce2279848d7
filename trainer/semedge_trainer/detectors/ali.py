"""ALI: adversarially learned inference (Dumoulin et al. 2017; thesis 2.3.2).

BiGAN with a stochastic encoder: z = mu(x) + sigma(x) e, e ~ N(0, I), so that gradients reach mu and
sigma. Patches are scored with the mean mu(x), so that a score does not vary between runs.

The thesis has no table for ALI. The encoder is that of table A2 with a second dense layer of 256
beside the first, for log sigma; everything else is BiGAN's.
"""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf
from keras import Input, Model

from semedge.inference.manifest import Node
from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.base import Networks, node
from semedge_trainer.detectors.bigan import IMAGE_FEATURES, KERNEL_PX, Bigan, schedules_with


class Ali(Bigan):
    """BiGAN with an encoder of two heads."""

    name = "ali"
    thesis_section = "2.3.2"
    encoder_networks = ("encoder_features", "encoder_mean", "encoder_log_deviation")
    schedules: ClassVar = schedules_with(encoder_networks)

    def build_encoder(self) -> dict[str, Network]:
        """The convolutions of E and its heads; the edge needs no log sigma."""
        patches = Input((self.patch_px, self.patch_px, 1), name="patches")
        features = blocks.encoder_convolutions(patches, KERNEL_PX)
        return {
            "encoder_features": Model(patches, features, name="encoder_features"),
            "encoder_mean": _head("encoder_mean"),
            "encoder_log_deviation": _head("encoder_log_deviation"),
        }

    def encode(self, networks: Networks, x: tf.Tensor, random: Randomness) -> tf.Tensor:
        """z ~ N(mu(x), sigma(x)^2), reparametrised, in training mode."""
        features = networks["encoder_features"](x, training=True)
        mean = networks["encoder_mean"](features, training=True)
        deviation = tf.exp(networks["encoder_log_deviation"](features, training=True))
        return mean + deviation * random.normal(tf.shape(mean))

    def infer(self, networks: Networks, x: tf.Tensor, *, training: bool) -> tf.Tensor:
        """mu(x)."""
        features = networks["encoder_features"](x, training=training)
        return networks["encoder_mean"](features, training=training)

    def infer_nodes(self) -> tuple[Node, ...]:
        """mu(x) on the edge."""
        return (node("e_x", "encoder_features", "x"), node("z", "encoder_mean", "e_x"))


def _head(name: str) -> Network:
    """A head of E: features `(n, 4096)` to `(n, 256)`."""
    features = Input((IMAGE_FEATURES,), name="features")
    return Model(features, blocks.dense("latent", features, LATENT), name=name)
