"""Autoencoders in the kinds of the thesis (2.2.2), and the variational one, as a baseline.

One stage, down ||x - x'||^2 (eq. 2.31), x' = psi(phi(x)). What keeps x' from being a copy of any x:

- `undercomplete`: a latent of 64 values for 1,024 pixels.
- `regularized`: a latent of 1,024 values, which an L1 norm keeps sparse.
- `denoising`: noise is added to the input, and the loss is taken against the clean patch.
- `variational`: z is drawn from N(mu(x), sigma(x)^2), and the loss has the divergence of that from
  N(0, I) (Kingma and Welling 2014): the negative evidence bound, x given z being Gaussian with a
  variance of 1/2. A patch is scored with mu(x).

A patch is scored by its residual ||x - x'||, as it is seen, without noise. The thesis has no table
of layers: phi is the encoder of table A6, psi its generator, with the latent's size as above; the
rates are those of table A6's encoder. The sizes, the weight of the L1 norm and the noise are chosen
here, as the thesis names none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import tensorflow as tf

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.losses import mean_l1, mean_squared_norm
from semedge_trainer.components.randomness import Randomness
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
from semedge_trainer.detectors.options import PatchOptions

LATENTS = {"undercomplete": 64, "regularized": 1024, "denoising": 256, "variational": 256}
SPARSITY_WEIGHT = 0.01
NOISE_DEVIATION = 0.2
RATES = {"encoder": 5e-5, "decoder": 5e-5, "log_deviation": 5e-5}
FAST_FACTOR = 10.0


@dataclass(frozen=True)
class Options(PatchOptions):
    """The kind of autoencoder, and the side of the patches."""

    kind: str = field(default="undercomplete", metadata={"choices": tuple(LATENTS)})


class Autoencoder(TrainedDetector, Reconstructing, FineTunable):
    """The networks, the stage and the scores of an autoencoder."""

    name = "autoencoder"
    thesis_section = "2.2.2"
    options_class = Options
    schedules: ClassVar = {
        "appendix": Schedule({"autoencoder": APPENDIX_STEPS}, RATES),
        "fast": Schedule({"autoencoder": 2000}, RATES).faster(FAST_FACTOR),
    }
    options: Options

    def build(self) -> dict[str, Network]:
        """Phi and psi."""
        latent, side_px = LATENTS[self.options.kind], self.patch_px
        networks = {
            "encoder": blocks.encoder("encoder", latent=latent, patch_px=side_px),
            "decoder": blocks.generator_ebgan("decoder", latent=latent, patch_px=side_px),
        }
        if self.options.kind == "variational":
            networks["log_deviation"] = blocks.encoder(
                "log_deviation", latent=latent, patch_px=side_px
            )
        return networks

    def stages(self) -> tuple[Stage, ...]:
        """Both halves at once."""
        rates = self.rates(*self._trained)
        return (Stage("autoencoder", rates, self._step, self._settle, self.missed),)

    def score_plan(self) -> ScorePlan:
        """The residual, and how rare it is beside the patch's statistics."""
        nodes = (node("z", "encoder", "x"), node("y", "decoder", "z"))
        scores = {
            "residual": {"im1": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
        }
        return ScorePlan(nodes, scores, default="residual")

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """Psi(phi(x)) in inference mode."""
        return networks["decoder"](networks["encoder"](patches, training=False), training=False)

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """The loss on patches as they are scored, without noise."""
        return sum(self._terms(networks, patches, patches).values())

    def _terms(self, networks: Networks, seen: tf.Tensor, x: tf.Tensor) -> Losses:
        """The terms of the loss, for what the encoder sees in place of x."""
        z = networks["encoder"](seen, training=True)
        terms = {"image": mean_squared_norm(networks["decoder"](z, training=True) - x)}
        if self.options.kind == "regularized":
            terms["sparsity"] = SPARSITY_WEIGHT * mean_l1(z)
        return terms

    @property
    def _trained(self) -> tuple[str, ...]:
        both = ("encoder", "decoder")
        return (*both, "log_deviation") if self.options.kind == "variational" else both

    def _step(self, context: StepContext, x: tf.Tensor) -> Losses:
        seen = x
        if self.options.kind == "denoising":
            seen = x + NOISE_DEVIATION * context.random.normal(tf.shape(x))
        losses: Losses = {}

        def loss() -> tf.Tensor:
            if self.options.kind == "variational":
                losses.update(_evidence_bound(context, x))
            else:
                losses.update(self._terms(context.networks, seen, x))
            return sum(losses.values())

        total = context.descend(self._trained, loss)
        return {"autoencoder": total, **losses}

    def _settle(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["decoder"](networks["encoder"](x, training=True), training=True)


def _evidence_bound(context: StepContext, x: tf.Tensor) -> Losses:
    """The two terms of the negative evidence bound of patches."""
    networks = context.networks
    mean, log_deviation = (
        networks[name](x, training=True) for name in ("encoder", "log_deviation")
    )
    deviation = tf.exp(log_deviation)
    z = mean + deviation * context.random.normal(tf.shape(mean))
    each = 0.5 * (tf.square(mean) + tf.square(deviation) - 1.0) - log_deviation
    return {
        "image": mean_squared_norm(networks["decoder"](z, training=True) - x),
        "divergence": tf.reduce_mean(tf.reduce_sum(each, axis=1)),
    }
