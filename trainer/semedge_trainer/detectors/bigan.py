"""BiGAN: bidirectional GAN (Donahue et al. 2017; thesis 2.3.2, table A2).

One stage, eq. 2.35: D separates the pairs (x, E(x)) from (G(z), z), while E and G together make
each pass for the other, with the non-saturating losses -log D(G(z), z) and -log(1 - D(x, E(x))).

A patch is scored as AnoGAN scores it, with E(x) in the place of the search:
(1 - l) sum|x - G(E(x))| + l times a second term, l = 0.1. That term is `features`,
sum|f(x, E(x)) - f(G(E(x)), E(x))| with f the last layer before the logit, or `cross_entropy`,
-log D(x, E(x)). With `_l2` the norms are Euclidean.

Table A2 does not say how z enters D. As in the author's code it has a dense layer of 512, and a
dense layer of 1024 joins it to the convolutions; without one, D would be a sum of a function of x
and one of z, and could not see whether they match. Their dropout of 0.5 is the code's too; the
convolutions have the table's batch normalization instead.
"""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf
from keras import Input, Model

from semedge.inference.manifest import Node
from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.adversarial import (
    JOINT_NETWORKS,
    AdversarialOptions,
    joint_discriminator,
    joint_features,
    minimax_loss,
    opposed,
)
from semedge_trainer.detectors.anogan import FAST_FACTOR, FEATURE_SHARE
from semedge_trainer.detectors.base import (
    APPENDIX_STEPS,
    FineTunable,
    Losses,
    Networks,
    Reconstructing,
    Sampling,
    Schedule,
    ScorePlan,
    Stage,
    StepContext,
    TrainedDetector,
    node,
)

KERNEL_PX = 4
IMAGE_FEATURES = 4 * 4 * 256
LATENT_FEATURES = 512
JOINT_FEATURES = 1024
DROPOUT = 0.5


def schedules_with(encoder_networks: tuple[str, ...]) -> dict[str, Schedule]:
    """The schedules, with the networks that E is made of."""

    rates = {"generator": 5e-5, **dict.fromkeys((*encoder_networks, *JOINT_NETWORKS), 1e-6)}
    return {
        "appendix": Schedule({"gan": APPENDIX_STEPS}, rates),
        "fast": Schedule({"gan": 1200}, rates).faster(FAST_FACTOR),
    }


class Bigan(TrainedDetector, Reconstructing, Sampling, FineTunable):
    """The networks, the stage and the scores of BiGAN."""

    name = "bigan"
    thesis_section = "2.3.2, A.2"
    options_class = AdversarialOptions
    encoder_networks: ClassVar[tuple[str, ...]] = ("encoder",)
    schedules: ClassVar = schedules_with(encoder_networks)
    options: AdversarialOptions

    def build(self) -> dict[str, Network]:
        """G, E, and D as its two branches, the layer that joins them, and its logit."""
        return {
            "generator": blocks.generator_anogan(patch_px=self.patch_px),
            **self.build_encoder(),
            "features_x": blocks.features_anogan("features_x", patch_px=self.patch_px),
            "features_z": features_latent(),
            "features_xz": features_joint(),
            "logit_xz": blocks.logit(JOINT_FEATURES, "logit_xz"),
        }

    def build_encoder(self) -> dict[str, Network]:
        """E, deterministic."""
        return {"encoder": blocks.encoder("encoder", KERNEL_PX, patch_px=self.patch_px)}

    def encode(self, networks: Networks, x: tf.Tensor, random: Randomness) -> tf.Tensor:
        """z ~ p(z | x) in training mode, here E(x)."""
        return networks["encoder"](x, training=True)

    def infer(self, networks: Networks, x: tf.Tensor, *, training: bool) -> tf.Tensor:
        """The latent that a patch is scored with."""
        return networks["encoder"](x, training=training)

    def infer_nodes(self) -> tuple[Node, ...]:
        """The same on the edge."""
        return (node("z", "encoder", "x"),)

    def stages(self) -> tuple[Stage, ...]:
        """The GAN."""
        rates = self.rates("generator", *self.encoder_networks, *JOINT_NETWORKS)
        return (Stage("gan", rates, self._step, self._settle, self.missed),)

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(E(x)) in inference mode."""
        return networks["generator"](self.infer(networks, patches, training=False), training=False)

    def score_plan(self) -> ScorePlan:
        """AnoGAN's scores in both forms, and their terms alone."""
        nodes = (
            *self.infer_nodes(),
            node("y", "generator", "z"),
            node("f_x", "features_x", "x"),
            node("f_y", "features_x", "y"),
            node("f_z", "features_z", "z"),
            node("f_xz", "features_xz", "f_x", "f_z"),
            node("f_yz", "features_xz", "f_y", "f_z"),
            node("l_xz", "logit_xz", "f_xz"),
        )
        flipped = "_flipped" if self.options.labels_swapped else ""
        cross_entropy = f"cross_entropy_xz{flipped}"
        scores = {
            "residual_features": _mixed("residual_l1", "features_xz"),
            "residual_features_l2": _mixed("im1", "features_xz_l2"),
            "residual_cross_entropy": _mixed("residual_l1", cross_entropy),
            "residual_cross_entropy_l2": _mixed("im1", cross_entropy),
            "residual_l1": {"residual_l1": 1.0},
            "im1": {"im1": 1.0},
            "features_xz": {"features_xz": 1.0},
            "cross_entropy_xz": {cross_entropy: 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
            "statistics_surprise": {"statistics_surprise": 1.0},
        }
        return ScorePlan(nodes, scores, default="residual_features")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """Eq. 2.35 with the gradient of E and G negated: D goes down it, E and G up."""
        z = tf.random.normal((tf.shape(patches)[0], LATENT), seed=0)
        y = opposed(networks["generator"](z, training=True))
        z_x = opposed(self.infer(networks, patches, training=True))

        def logits(x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
            return networks["logit_xz"](joint_features(networks, x, z), training=True)

        return minimax_loss(logits(patches, z_x), logits(y, z), self.options)

    def _step(self, context: StepContext, x: tf.Tensor) -> Losses:
        discriminator = joint_discriminator(context, self.options)
        z = context.random.normal((tf.shape(x)[0], LATENT))
        losses: Losses = {}

        def loss() -> tf.Tensor:
            y = context.networks["generator"](z, training=True)
            z_x = self.encode(context.networks, x, context.random)
            losses["discriminator"] = discriminator.learn((x, z_x), (y, z))
            losses["generator"] = discriminator.loss_as_real(y, z)
            losses["encoder"] = discriminator.loss_as_generated(x, z_x)
            return losses["generator"] + losses["encoder"]

        context.descend(("generator", *self.encoder_networks), loss)
        return losses

    def _settle(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["generator"](self.infer(networks, x, training=True), training=True)
        networks["features_x"](x, training=True)


def features_latent() -> Network:
    """The branch of D for z: latents `(n, 256)` to features `(n, 512)`."""
    latent = Input((LATENT,), name="latent")
    values = blocks.dense_stack(latent, (LATENT_FEATURES,), dropout=DROPOUT)
    return Model(latent, values, name="features_z")


def features_joint() -> Network:
    """f(x, z): the features of both branches, joined, `(n, 4608)`, to `(n, 1024)`."""
    joined = Input((IMAGE_FEATURES + LATENT_FEATURES,), name="joined")
    values = blocks.dense_stack(joined, (JOINT_FEATURES,), dropout=DROPOUT)
    return Model(joined, values, name="features_xz")


def _mixed(residual: str, second: str) -> dict[str, float]:
    return {residual: 1.0 - FEATURE_SHARE, second: FEATURE_SHARE}
