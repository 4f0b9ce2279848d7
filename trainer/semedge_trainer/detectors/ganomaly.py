"""GANomaly: an adversarial autoencoder and a second encoder (thesis 2.3.4, table A4).

By Akcay et al. (2018). One stage. G(x) = G_D(G_E(x)), z = G_E(x). Per step one update of D on x
against G(x) (eq. 2.3), then one of G_E, G_D and E together down L_adv + 50 L_con + L_enc
(eq. 2.94):

- L_adv = mean ||f(x) - mean f(G(x))||, f the features of D (eq. 2.91); or, as in the author's code,
  the cross-entropy of G(x) with the label of x;
- L_con = mean |x - G(x)|_1 (eq. 2.92);
- L_enc = mean ||G_E(x) - E(G(x))|| (eq. 2.93).

A(x) = |G_E(x) - E(G(x))|_1 (eq. 2.95).

Means are over the batch and norms are sums over an item, as printed and as in the author's code;
Akcay's code averages over the values instead, which weighs the terms otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import tensorflow as tf
from keras import Input, Model

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import LATENT, PATCH_PX, Network
from semedge_trainer.components.losses import mean_l1, mean_norm
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.adversarial import AdversarialOptions, Discriminator
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

WEIGHTS = {"adversarial": 1.0, "contextual": 50.0, "encoder": 1.0}
"""Weights of the terms of eq. 2.94, which leaves them open: those of Akcay et al. and the code."""

NOISE_DEVIATION = 0.2

GENERATOR = ("encoder", "generator", "second_encoder")
DISCRIMINATOR = ("features", "logit")
RATES = dict.fromkeys(GENERATOR, 5e-5) | dict.fromkeys(DISCRIMINATOR, 1e-6)


@dataclass(frozen=True)
class Options(AdversarialOptions):
    """The adversarial loss, the noise of 5.5, and what every GAN has.

    Attributes
    ----------
    noisy_input
        Whether G is shown x with Gaussian noise of deviation 0.2 while it trains, and is to give x
        without it; the thesis names the noise without a figure.
    """

    adversarial: str = field(default="features", metadata={"choices": ("features", "labels")})
    noisy_input: bool = False


class Ganomaly(TrainedDetector, Reconstructing, Sampling, FineTunable):
    """The networks, the stage and the scores of GANomaly."""

    name = "ganomaly"
    thesis_section = "2.3.4, A.4"
    options_class = Options
    schedules: ClassVar = {
        "appendix": Schedule({"gan": APPENDIX_STEPS}, RATES),
        "fast": Schedule({"gan": 2000}, RATES).faster(FAST_FACTOR),
    }
    options: Options

    def build(self) -> dict[str, Network]:
        """G_E, G_D, E, and D as its convolutions f and its last layer."""
        return {
            "encoder": blocks.encoder("encoder", patch_px=self.patch_px),
            "generator": decoder(patch_px=self.patch_px),
            "second_encoder": blocks.encoder("second_encoder", patch_px=self.patch_px),
            "features": blocks.features_anogan(patch_px=self.patch_px),
            "logit": blocks.logit(4 * 4 * 256),
        }

    def stages(self) -> tuple[Stage, ...]:
        """Everything at once."""
        rates = self.rates(*GENERATOR, *DISCRIMINATOR)
        return (Stage("gan", rates, self._step_gan, self._settle_gan, self.missed),)

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(x) in inference mode."""
        return networks["generator"](networks["encoder"](patches, training=False), training=False)

    def score_plan(self) -> ScorePlan:
        """Eq. 2.95, the same in L2, and the residual."""
        nodes = (
            node("z", "encoder", "x"),
            node("y", "generator", "z"),
            node("z_y", "second_encoder", "y"),
        )
        scores = {
            "a": {"latent_l1": 1.0},
            "final_1": {"final_1": 1.0},
            "im1": {"im1": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
            "statistics_surprise": {"statistics_surprise": 1.0},
        }
        return ScorePlan(nodes, scores, default="a")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """L_con and L_enc, which move every graph of the scores."""
        z, y, z_y = _forward(networks, patches)
        return objective({"contextual": mean_l1(patches - y), "encoder": mean_norm(z - z_y)})

    def _step_gan(self, context: StepContext, x: tf.Tensor) -> Losses:
        discriminator = Discriminator(context, self.options, DISCRIMINATOR)
        terms: Losses = {}
        seen = x
        if self.options.noisy_input:
            seen = x + NOISE_DEVIATION * context.random.normal(tf.shape(x))

        def loss_g() -> tf.Tensor:
            z, y, z_y = _forward(context.networks, seen)
            terms["adversarial"] = adversarial_loss(discriminator, self.options.adversarial, x, y)
            terms["contextual"] = mean_l1(x - y)
            terms["encoder"] = mean_norm(z - z_y)
            return objective(terms)

        _, y, _ = _forward(context.networks, seen)
        return {
            "discriminator": discriminator.learn((x,), (y,)),
            "generator": context.descend(GENERATOR, loss_g),
            **terms,
        }

    def _settle_gan(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        _forward(networks, x)
        networks["features"](x, training=True)


def decoder(name: str = "generator", *, patch_px: int = PATCH_PX) -> Network:
    """G_D of table A4: latents `(n, 256)` to patches `(n, 32, 32, 1)` in [-1, 1].

    The latent is taken as 1x1x256 and doubled five times, as in the author's code. For patches of
    28 px a dense layer gives 7x7x64.
    """
    latent = Input((LATENT,), name="latent")
    maps = {1: LATENT, 2: 256, 4: 128, 8: 64, 16: 32, 32: 16}
    values = blocks.feature_maps(latent, maps, 4, patch_px)
    return Model(latent, blocks.paint("deconv6", values, 4, 1), name=name)


def adversarial_loss(
    discriminator: Discriminator, kind: str, x: tf.Tensor, y: tf.Tensor
) -> tf.Tensor:
    """L_adv of G(x) = y: eq. 2.91 where `kind` is "features", else the cross-entropy."""
    if kind == "features":
        return discriminator.distance_from_mean_features(x, y)
    return discriminator.loss_as_real(y)


def objective(terms: Losses) -> tf.Tensor:
    """Weighted sum of the terms of eq. 2.94, by name."""
    return tf.add_n([WEIGHTS[name] * term for name, term in terms.items()])


def _forward(networks: Networks, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """G_E(x), G(x) and E(G(x)) in training mode."""
    z = networks["encoder"](x, training=True)
    y = networks["generator"](z, training=True)
    return z, y, networks["second_encoder"](y, training=True)
