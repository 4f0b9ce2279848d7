"""ALAD: adversarially learned anomaly detection (Zenati et al. 2018; thesis 2.3.3, table A3).

One stage, eq. 2.88. Three discriminators learn: D_xz separates (x, E(x)) from (G(z), z), D_xx
(x, x) from (x, G(E(x))), and D_zz (z, z) from (z, E(G(z))). E and G together go down
-log D_xz(G(z), z) - log(1 - D_xz(x, E(x))) - log D_xx(x, G(E(x))) - log D_zz(z, E(G(z))).

Scores of eq. 2.90, x' = G(E(x)): `residual_l1` and `im1` are its L1 and L2; `cross_entropy_xx`, its
logits, is -log D_xx(x, x'), negated since log D is highest where a patch is normal; `features_xx`
is ||f_xx(x, x) - f_xx(x, x')||_1, f_xx the convolutions of D_xx.

Spectral normalization is on every layer of the discriminators and of E. Where table A3 cannot be
built as it is written: on a single pixel a convolution is a dense layer, so that the convolutions
of D_xz on z, and of both branches joined, are dense; D_zz is dense, the kernels beside it mean
nothing, and its last layer has neither dropout nor leaky ReLU, being a logit. D_xx has the dropout
of 0.2 of the other two, where the table gives none.
"""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf
from keras import Input, Model, layers

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import LATENT, PATCH_PX, Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.spectral import SpectralConv2D, iterate_spectral_vectors
from semedge_trainer.detectors.adversarial import (
    JOINT_NETWORKS,
    AdversarialOptions,
    joint_discriminator,
    minimax_loss,
    opposed,
    pair_discriminator,
    pair_networks,
)
from semedge_trainer.detectors.anogan import FAST_FACTOR
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
IMAGE_FEATURES = 4 * 4 * 512
LATENT_FEATURES = 512
JOINT_FEATURES = 1024
DROPOUT = 0.2
DISCRIMINATORS = (*JOINT_NETWORKS, *pair_networks("xx"), *pair_networks("zz"))
RATES = {"generator": 5e-5, **dict.fromkeys(("encoder", *DISCRIMINATORS), 1e-6)}


class Alad(TrainedDetector, Reconstructing, Sampling, FineTunable):
    """The networks, the stage and the scores of ALAD."""

    name = "alad"
    thesis_section = "2.3.3, A.3"
    options_class = AdversarialOptions
    schedules: ClassVar = {
        "appendix": Schedule({"gan": APPENDIX_STEPS}, RATES),
        "fast": Schedule({"gan": 1200}, RATES).faster(FAST_FACTOR),
    }
    options: AdversarialOptions

    def build(self) -> dict[str, Network]:
        """G, E, and the networks of D_xz, D_xx and D_zz."""
        side_px = self.patch_px
        features_xx = blocks.features_pair_images(dropout=DROPOUT, patch_px=side_px)
        return {
            "generator": blocks.generator_anogan(last_kernel_px=KERNEL_PX, patch_px=side_px),
            "encoder": encoder(side_px),
            "features_x": features_image(side_px),
            "features_z": features_latent(),
            "features_xz": features_joint(),
            "logit_xz": blocks.logit(JOINT_FEATURES, "logit_xz", spectral=True),
            "features_xx": features_xx,
            "logit_xx": blocks.logit_pair_images(features_xx),
            "features_zz": blocks.features_pair_latents(spectral=True),
            "logit_zz": blocks.logit(32, "logit_zz", spectral=True),
        }

    def stages(self) -> tuple[Stage, ...]:
        """The GAN."""
        rates = self.rates("generator", "encoder", *DISCRIMINATORS)
        return (Stage("gan", rates, self._step, self._settle, self.missed),)

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(E(x)) in inference mode."""
        return networks["generator"](networks["encoder"](patches, training=False), training=False)

    def score_plan(self) -> ScorePlan:
        """The scores of eq. 2.90, and how rare the residual and the patch are."""
        nodes = (
            node("z", "encoder", "x"),
            node("y", "generator", "z"),
            node("f_xx", "features_xx", "x", "x"),
            node("f_xy", "features_xx", "x", "y"),
            node("l_xy", "logit_xx", "f_xy"),
        )
        flipped = "_flipped" if self.options.labels_swapped else ""
        scores = {
            "residual_l1": {"residual_l1": 1.0},
            "im1": {"im1": 1.0},
            "cross_entropy_xx": {f"cross_entropy_xx{flipped}": 1.0},
            "features_xx": {"features_xx": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
            "statistics_surprise": {"statistics_surprise": 1.0},
        }
        return ScorePlan(nodes, scores, default="features_xx")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """Eq. 2.86 with the gradient of E and G negated: D_xx, which scores, goes down it."""
        y = opposed(
            networks["generator"](networks["encoder"](patches, training=True), training=True)
        )

        def logits(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
            features = networks["features_xx"](tf.concat((a, b), axis=-1), training=True)
            return networks["logit_xx"](features, training=True)

        return minimax_loss(logits(patches, patches), logits(patches, y), self.options)

    def _step(self, context: StepContext, x: tf.Tensor) -> Losses:
        encoder, generator = context.networks["encoder"], context.networks["generator"]
        d_xz = joint_discriminator(context, self.options)
        d_xx = pair_discriminator(context, self.options, "xx")
        d_zz = pair_discriminator(context, self.options, "zz")
        z = context.random.normal((tf.shape(x)[0], LATENT))
        iterate_spectral_vectors(encoder)
        losses: Losses = {}

        def loss() -> tf.Tensor:
            z_x = encoder(x, training=True)
            y = generator(z, training=True)
            x_again = generator(z_x, training=True)
            z_again = encoder(y, training=True)
            losses["discriminator_xz"] = d_xz.learn((x, z_x), (y, z))
            losses["discriminator_xx"] = d_xx.learn((x, x), (x, x_again))
            losses["discriminator_zz"] = d_zz.learn((z, z), (z, z_again))
            losses["generator"] = d_xz.loss_as_real(y, z)
            losses["encoder"] = d_xz.loss_as_generated(x, z_x)
            losses["cycle_xx"] = d_xx.loss_as_real(x, x_again)
            losses["cycle_zz"] = d_zz.loss_as_real(z, z_again)
            return tf.add_n([losses[name] for name in OWN_LOSSES])

        context.descend(("generator", "encoder"), loss)
        return losses

    def _settle(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["generator"](networks["encoder"](x, training=True), training=True)
        networks["features_x"](x, training=True)


OWN_LOSSES = ("generator", "encoder", "cycle_xx", "cycle_zz")
"""What E and G go down."""


def encoder(patch_px: int = PATCH_PX) -> Network:
    """E of table A3: patches `(n, 32, 32, 1)` or of 28 px to latents `(n, 256)`."""
    patches = Input((patch_px, patch_px, 1), name="patches")
    values = patches
    for index, filters in enumerate((32, 64, 128, 256), start=1):
        values = blocks.convolve(
            f"conv{index}", values, filters, KERNEL_PX, batch_norm=True, spectral=True
        )
    values = SpectralConv2D(
        LATENT,
        KERNEL_PX,
        strides=2,
        padding="same",
        kernel_initializer=blocks.INITIALIZER,
        dtype="float32",
        name="latent",
    )(values)
    return Model(patches, layers.Flatten(dtype="float32", name="flatten")(values), name="encoder")


def features_image(patch_px: int = PATCH_PX) -> Network:
    """The branch of D_xz for x: patches to features `(n, 8192)`."""
    patches = Input((patch_px, patch_px, 1), name="patches")
    values = patches
    for index, filters in enumerate((128, 256, 512), start=1):
        values = blocks.convolve(
            f"conv{index}", values, filters, KERNEL_PX, batch_norm=True, spectral=True
        )
    return Model(patches, layers.Flatten(name="flatten")(values), name="features_x")


def features_latent() -> Network:
    """The branch of D_xz for z: latents `(n, 256)` to features `(n, 512)`."""
    latent = Input((LATENT,), name="latent")
    units = (LATENT_FEATURES, LATENT_FEATURES)
    values = blocks.dense_stack(latent, units, dropout=DROPOUT, spectral=True)
    return Model(latent, values, name="features_z")


def features_joint() -> Network:
    """f_xz: the features of both branches, joined, `(n, 8704)`, to `(n, 1024)`."""
    joined = Input((IMAGE_FEATURES + LATENT_FEATURES,), name="joined")
    units = (JOINT_FEATURES, JOINT_FEATURES)
    values = blocks.dense_stack(joined, units, dropout=DROPOUT, spectral=True)
    return Model(joined, values, name="features_xz")
