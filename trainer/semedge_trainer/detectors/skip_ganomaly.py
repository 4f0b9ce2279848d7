"""Skip-GANomaly: GANomaly with a U-Net as generator (thesis 2.3.4, table A5).

By Akcay et al. (2019). One stage. Per step one update of D on x against G(x) (eq. 2.3), then one
of G down L_adv + 50 L_con + L_enc (eq. 2.94):

- L_adv, the cross-entropy of G(x) with the label of x, as in Akcay's paper and the author's code;
  or eq. 2.91, mean ||f(x) - mean f(G(x))||, f the features of D. The thesis builds the objective by
  the logic of GANomaly's, whose eq. 2.91 matches features; L_enc does that here already;
- L_con = mean |x - G(x)|_1 (eq. 2.92);
- L_enc = mean ||f(x) - f(G(x))|| (eq. 2.96).

A(x) = 0.9 |x - G(x)|_1 + 0.1 ||f(x) - f(G(x))|| (eq. 2.97).

Means are over the batch, norms are sums over a patch, as printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import tensorflow as tf
from keras import Input, Model, layers

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import PATCH_PX, Network
from semedge_trainer.components.losses import mean_l1, mean_norm
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.stabilization import Stabilization
from semedge_trainer.detectors.adversarial import Discriminator
from semedge_trainer.detectors.anogan import FAST_FACTOR
from semedge_trainer.detectors.base import (
    APPENDIX_STEPS,
    FineTunable,
    Losses,
    Networks,
    Reconstructing,
    Schedule,
    ScorePlan,
    Stage,
    StepContext,
    TrainedDetector,
    node,
)
from semedge_trainer.detectors.ganomaly import adversarial_loss, objective

RESIDUAL_SHARE = 0.9
DISCRIMINATOR = ("features", "logit")
RATES = {"generator": 5e-5} | dict.fromkeys(DISCRIMINATOR, 1e-6)


@dataclass(frozen=True)
class Options(Stabilization):
    """The adversarial loss, and the stabilizations of 4.2.1."""

    adversarial: str = field(default="labels", metadata={"choices": ("labels", "features")})


class SkipGanomaly(TrainedDetector, Reconstructing, FineTunable):
    """The networks, the stage and the scores of Skip-GANomaly."""

    name = "skip-ganomaly"
    thesis_section = "2.3.4, A.5"
    options_class = Options
    schedules: ClassVar = {
        "appendix": Schedule({"gan": APPENDIX_STEPS}, RATES),
        "fast": Schedule({"gan": 1500}, RATES).faster(FAST_FACTOR),
    }
    options: Options

    def build(self) -> dict[str, Network]:
        """G, and D as its convolutions f and its last layer."""
        return {
            "generator": generator(),
            "features": blocks.features_anogan(kernel_px=5),
            "logit": blocks.logit(4 * 4 * 256),
        }

    def stages(self) -> tuple[Stage, ...]:
        """Everything at once."""
        rates = self.rates("generator", *DISCRIMINATOR)
        return (Stage("gan", rates, self._step_gan, self._settle_gan, self.missed),)

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(x) in inference mode."""
        return networks["generator"](patches, training=False)

    def score_plan(self) -> ScorePlan:
        """Eq. 2.97 and its two terms."""
        nodes = (
            node("y", "generator", "x"),
            node("f_x", "features", "x"),
            node("f_y", "features", "y"),
        )
        scores = {
            "a": {"residual_l1": RESIDUAL_SHARE, "features_l2": 1.0 - RESIDUAL_SHARE},
            "a_r": {"residual_l1": 1.0},
            "a_l": {"features_l2": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
            "statistics_surprise": {"statistics_surprise": 1.0},
        }
        return ScorePlan(nodes, scores, default="a")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """L_con and L_enc, which move every graph of the scores."""
        y = networks["generator"](patches, training=True)
        f_x, f_y = (networks["features"](values, training=True) for values in (patches, y))
        return objective({"contextual": mean_l1(patches - y), "encoder": mean_norm(f_x - f_y)})

    def _step_gan(self, context: StepContext, x: tf.Tensor) -> Losses:
        discriminator = Discriminator(context, self.options, DISCRIMINATOR)
        terms: Losses = {}

        def reconstruct() -> tf.Tensor:
            return context.networks["generator"](x, training=True)

        def loss_g() -> tf.Tensor:
            y = reconstruct()
            terms["adversarial"] = adversarial_loss(discriminator, self.options.adversarial, x, y)
            terms["contextual"] = mean_l1(x - y)
            terms["encoder"] = discriminator.feature_matching((x,), (y,))
            return objective(terms)

        return {
            "discriminator": discriminator.learn((x,), (reconstruct(),)),
            "generator": context.descend(("generator",), loss_g),
            **terms,
        }

    def _settle_gan(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["generator"](x, training=True)
        networks["features"](x, training=True)


def generator(name: str = "generator") -> Network:
    """G of table A5: patches `(n, 32, 32, 1)` to patches in [-1, 1], one graph.

    Each layer of the encoder but the innermost is joined to that of the decoder with its size. The
    table gives the last layer no activation; it is tanh, as in the author's code. The innermost
    layer has 512 channels, as its row says, not the 256 that the table calls the latent dimension.
    Patches of 28 px halve to 7, 4, 2 and 1 px, and no doubling leads from 4 back to 7: there is no
    such generator.
    """
    patches = Input((PATCH_PX, PATCH_PX, 1), name="patches")
    values = patches
    skips = []
    for index, filters in enumerate((64, 128, 256, 512, 512), start=1):
        values = blocks.convolve(f"conv{index}", values, filters, 5, batch_norm=True)
        skips.append(values)
    for index, filters in enumerate((512, 256, 128, 64), start=1):
        values = blocks.deconvolve(f"deconv{index}", values, filters, 5)
        values = layers.Concatenate(name=f"skip{index}")([skips[-1 - index], values])
    return Model(patches, blocks.paint("deconv5", values, 5, 2), name=name)
