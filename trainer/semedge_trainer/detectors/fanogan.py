"""f-AnoGAN: AnoGAN whose latents an encoder finds (Schlegl et al. 2019; thesis 3.1).

Two stages, the second with everything before it frozen:

1. `gan`. Wasserstein GAN with gradient penalty. Per step five updates of D down
   D(G(z)) - D(x) + 10 (||grad D(x')|| - 1)^2, x' between x and G(z), then one of G down -D(G(z)).
2. `encoder`. E down the loss of the variant, n the pixels, d the latents, n_d the features f of D:
   izi, ||x - G(E(x))||^2 / n (eq. 3.1); ziz, ||z - E(G(z))||^2 / d (eq. 3.3); izi_f, that of izi
   and kappa ||f(x) - f(G(E(x)))||^2 / n_d, kappa = 1 (eq. 3.2).

Appendix A has no table for it. G and D are those of AnoGAN (table A1) and E is that of BiGAN (table
A2), whose architecture the thesis calls very similar; D has no batch normalization, because the
penalty is on the gradient of each patch, which must not depend on the patches beside it. The
penalty's weight, the five updates, the rates and the 250 epochs of the `author` schedule are those
of the author's code, as the thesis gives none; `appendix` has the 50 of its tables. The five
updates of D share the patches of a step, real and generated, because G is nine tenths of the cost;
the points between them are drawn anew. Adam's moments decay as everywhere here (0.5, 0.999), not as
in that code (0, 0.9).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import tensorflow as tf

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.components.losses import gradient_penalty, interpolate, mean_square
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.base import (
    APPENDIX_STEPS,
    EPOCH_STEPS,
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
from semedge_trainer.detectors.options import PatchOptions

CRITIC_UPDATES = 5
PENALTY_WEIGHT = 10.0
KAPPA = 1.0
RATES = dict.fromkeys(("generator", "features", "critic", "encoder"), 1e-4)
FAST_FACTOR = 2.0


@dataclass(frozen=True)
class Options(PatchOptions):
    """What the encoder is trained on, and the side of the patches."""

    variant: str = field(default="izi_f", metadata={"choices": ("izi", "ziz", "izi_f")})


class Fanogan(TrainedDetector, Reconstructing, Sampling, FineTunable):
    """The networks, stages and scores of f-AnoGAN."""

    name = "f-anogan"
    thesis_section = "3.1"
    options_class = Options
    schedules: ClassVar = {
        "appendix": Schedule({"gan": APPENDIX_STEPS, "encoder": APPENDIX_STEPS}, RATES),
        "author": Schedule({"gan": 250 * EPOCH_STEPS, "encoder": 250 * EPOCH_STEPS}, RATES),
        "fast": Schedule({"gan": 1000, "encoder": 1000}, RATES).faster(FAST_FACTOR),
    }
    options: Options

    def build(self) -> dict[str, Network]:
        """G, D as its convolutions f and its last layer, and E."""
        return {
            "generator": blocks.generator_anogan(patch_px=self.patch_px),
            "features": blocks.features_anogan(batch_norm=False, patch_px=self.patch_px),
            "critic": blocks.logit(4 * 4 * 256, "critic"),
            "encoder": blocks.encoder("encoder", kernel_px=4, patch_px=self.patch_px),
        }

    def stages(self) -> tuple[Stage, ...]:
        """The Wasserstein GAN, then the encoder."""
        return (
            Stage(
                "gan",
                self.rates("generator", "features", "critic"),
                self._step_gan,
                self._settle_gan,
            ),
            Stage(
                "encoder",
                self.rates("encoder"),
                self._step_encoder,
                self._settle_encoder,
                self.missed,
            ),
        )

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(E(x)) in inference mode."""
        return networks["generator"](networks["encoder"](patches, training=False), training=False)

    def score_plan(self) -> ScorePlan:
        """Eq. 3.4 to 3.6; A_R is the default where the encoder never saw the features."""
        nodes = (
            node("z", "encoder", "x"),
            node("y", "generator", "z"),
            node("f_x", "features", "x"),
            node("f_y", "features", "y"),
        )
        scores = {
            "a": {"mean_square_residual": 1.0, "mean_square_features": KAPPA},
            "a_r": {"mean_square_residual": 1.0},
            "a_d": {"mean_square_features": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
            "statistics_surprise": {"statistics_surprise": 1.0},
        }
        default = "a" if self.options.variant == "izi_f" else "a_r"
        return ScorePlan(nodes, scores, default)

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """Eq. 3.2, whatever the variant: it moves every graph of the scores."""
        y = networks["generator"](networks["encoder"](patches, training=True), training=True)
        f_x, f_y = (networks["features"](values, training=True) for values in (patches, y))
        return mean_square(patches - y) + KAPPA * mean_square(f_x - f_y)

    def _step_gan(self, context: StepContext, x: tf.Tensor) -> Losses:
        networks, random = context.networks, context.random
        losses: Losses = {}

        def generate() -> tf.Tensor:
            z = random.normal((tf.shape(x)[0], LATENT))
            return networks["generator"](z, training=True)

        def judge(patches: tf.Tensor) -> tf.Tensor:
            return networks["critic"](networks["features"](patches, training=True), training=True)

        fake = tf.stop_gradient(generate())

        def loss_d() -> tf.Tensor:
            distance = tf.reduce_mean(judge(x)) - tf.reduce_mean(judge(fake))
            losses["wasserstein"] = distance
            losses["penalty"] = gradient_penalty(judge, interpolate(x, fake, random))
            return PENALTY_WEIGHT * losses["penalty"] - distance

        def loss_g() -> tf.Tensor:
            return -tf.reduce_mean(judge(generate()))

        for _ in range(CRITIC_UPDATES):
            losses["critic"] = context.descend(("features", "critic"), loss_d)
        losses["generator"] = context.descend(("generator",), loss_g)
        return losses

    def _settle_gan(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["generator"](random.normal((tf.shape(x)[0], LATENT)), training=True)

    def _step_encoder(self, context: StepContext, x: tf.Tensor) -> Losses:
        generator, features, encoder = (
            context.networks[name] for name in ("generator", "features", "encoder")
        )
        losses: Losses = {}

        def loss_ziz() -> tf.Tensor:
            z = context.random.normal((tf.shape(x)[0], LATENT))
            return mean_square(z - encoder(generator(z, training=False), training=True))

        def loss_izi() -> tf.Tensor:
            y = generator(encoder(x, training=True), training=False)
            losses["image"] = mean_square(x - y)
            if self.options.variant == "izi":
                return losses["image"]
            losses["features"] = mean_square(
                features(x, training=False) - features(y, training=False)
            )
            return losses["image"] + KAPPA * losses["features"]

        loss = loss_ziz if self.options.variant == "ziz" else loss_izi
        losses["encoder"] = context.descend(("encoder",), loss)
        return losses

    def _settle_encoder(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["encoder"](x, training=True)
