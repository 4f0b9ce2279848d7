"""AnoGAN (Schlegl et al. 2017; thesis 2.3.1, table A1).

One stage, a GAN (eq. 2.3, with the non-saturating loss of the generator). A patch is scored by
searching the latent whose image is nearest to it: 500 Adam steps on z for every patch, down
(1 - l) sum|x - G(z)| + l times a second term, l = 0.1 (eq. 2.32 and 2.33); 4.2.2 words the residual
as ||x - G(z)||, which `residual=l2` takes instead. In the score `inversion` the second term is
sum|f(x) - f(G(z))|, f the discriminator's last convolution; in `inversion_cross_entropy` it is
-log D(G(z)). The search needs gradients, so AnoGAN stays in TensorFlow; it is the baseline that the
encoders' speed is measured against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import keras
import tensorflow as tf

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.components.losses import SMALLEST_SQUARE
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.stabilization import Stabilization
from semedge_trainer.detectors.adversarial import AdversarialOptions, Discriminator
from semedge_trainer.detectors.base import (
    APPENDIX_STEPS,
    LatentSearch,
    Losses,
    Networks,
    Sampling,
    Schedule,
    SearchedDetector,
    Stage,
    StepContext,
    TrainedDetector,
)

RATES = {"generator": 5e-5, "features": 1e-6, "logit": 1e-6}
FAST_FACTOR = 4.0
"""Factor of the learning rates on the `fast` schedules of the GANs of tables A1 to A5."""
FEATURE_SHARE = 0.1
INVERSION_STEPS = 500
INVERSION_RATE = 0.01

SecondTerm = Callable[[Networks, tf.Tensor, tf.Tensor], tf.Tensor]
InversionLoss = Callable[[Networks, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Options(AdversarialOptions):
    """The residual of the search, and what every GAN has."""

    residual: str = field(default="l1", metadata={"choices": ("l1", "l2")})


class Anogan(SearchedDetector, TrainedDetector, Sampling):
    """The networks, the stage and the inversion of AnoGAN."""

    name = "anogan"
    thesis_section = "2.3.1, A.1"
    options_class = Options
    schedules: ClassVar = {
        "appendix": Schedule({"gan": APPENDIX_STEPS}, RATES),
        "fast": Schedule({"gan": 1200}, RATES).faster(FAST_FACTOR),
    }
    edge_refusal = (
        "AnoGAN searches the latent of every patch with 500 gradient steps, which no TFLite graph "
        "can do; train f-anogan, whose encoder takes the place of the search, for the edge."
    )
    searched_scores = ("inversion", "inversion_cross_entropy")
    options: Options

    def build(self) -> dict[str, Network]:
        """G, and D as its convolutions f and its last layer."""
        return {
            "generator": blocks.generator_anogan(patch_px=self.patch_px),
            "features": blocks.features_anogan(patch_px=self.patch_px),
            "logit": blocks.logit(4 * 4 * 256),
        }

    def stages(self) -> tuple[Stage, ...]:
        """The GAN."""
        rates = self.rates("generator", "features", "logit")
        return (Stage("gan", rates, self._step_gan, self._settle_gan),)

    def search(self, networks: Networks, batch: int, score_name: str) -> LatentSearch:
        """The inversion; the score is the loss at z*."""
        return self._inversion(networks, batch, score_name).score

    def search_reconstruction(self, networks: Networks, batch: int) -> LatentSearch:
        """G(z*)."""
        return self._inversion(networks, batch, self.searched_scores[0]).reconstruct

    def _inversion(self, networks: Networks, batch: int, score_name: str) -> Inversion:
        second = (
            features_term
            if score_name == "inversion"
            else partial(cross_entropy_term, self.options)
        )
        loss = partial(inversion_loss, second_term=second, residual=self.options.residual)
        return Inversion(networks, batch, loss)

    def _step_gan(self, context: StepContext, x: tf.Tensor) -> Losses:
        discriminator = Discriminator(context, self.options, ("features", "logit"))
        z = context.random.normal((tf.shape(x)[0], LATENT))
        losses: Losses = {}

        def loss() -> tf.Tensor:
            y = context.networks["generator"](z, training=True)
            losses["discriminator"] = discriminator.learn((x,), (y,))
            return discriminator.loss_as_real(y)

        losses["generator"] = context.descend(("generator",), loss)
        return losses

    def _settle_gan(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["generator"](random.normal((tf.shape(x)[0], LATENT)), training=True)
        networks["features"](x, training=True)


def features_term(networks: Networks, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """sum|f(x) - f(y)| of each patch, shape `(n,)` (eq. 2.33)."""
    features = networks["features"]
    found, painted = (tf.cast(features(each, training=False), tf.float32) for each in (x, y))
    return tf.reduce_sum(tf.abs(found - painted), axis=1)


def cross_entropy_term(
    switches: Stabilization, networks: Networks, x: tf.Tensor, y: tf.Tensor
) -> tf.Tensor:
    """-log D(y) of each patch, shape `(n,)`."""
    logits = networks["logit"](networks["features"](y, training=False), training=False)[:, 0]
    return tf.nn.softplus(logits if switches.labels_swapped else -logits)


def inversion_loss(
    networks: Networks,
    x: tf.Tensor,
    z: tf.Tensor,
    second_term: SecondTerm = features_term,
    residual: str = "l1",
) -> tf.Tensor:
    """(1 - l) times the residual + l times the second term of each patch, shape `(n,)`."""
    y = networks["generator"](z, training=False)
    pixels = list(range(1, len(y.shape)))
    if residual == "l1":
        missed = tf.reduce_sum(tf.abs(x - y), axis=pixels)
    else:
        missed = tf.sqrt(tf.reduce_sum(tf.square(x - y), axis=pixels) + SMALLEST_SQUARE)
    return (1.0 - FEATURE_SHARE) * missed + FEATURE_SHARE * second_term(networks, x, y)


class Inversion:
    """The search for z*, for batches of one size.

    Parameters
    ----------
    networks
        Trained networks of AnoGAN.
    batch
        Patches that are inverted together; each has a latent of its own.
    loss
        What the search goes down, by networks, patches and latents; at its end, the score.
    """

    def __init__(self, networks: Networks, batch: int, loss: InversionLoss | None = None) -> None:
        self._networks = networks
        self._loss = loss or inversion_loss
        self._z = tf.Variable(tf.zeros((batch, LATENT)))
        self._optimizer = keras.optimizers.Adam(INVERSION_RATE)
        self._optimizer.build([self._z])
        self._initial = [tf.identity(variable.value) for variable in self._optimizer.variables]
        self._step = tf.function(self._descend, autograph=False)

    def score(self, x: tf.Tensor, steps: int = INVERSION_STEPS, seed: int = 0) -> tf.Tensor:
        """Scores of the patches `(batch, side, side, 1)` after `steps` steps, shape `(batch,)`."""
        self._search(x, steps, seed)
        return self._loss(self._networks, x, self._z)

    def reconstruct(self, x: tf.Tensor, steps: int = INVERSION_STEPS, seed: int = 0) -> tf.Tensor:
        """G(z*) of the patches after `steps` steps, of their shape."""
        self._search(x, steps, seed)
        return self._networks["generator"](self._z, training=False)

    def _search(self, x: tf.Tensor, steps: int, seed: int) -> None:
        for variable, initial in zip(self._optimizer.variables, self._initial, strict=True):
            variable.assign(initial)
        self._z.assign(tf.random.stateless_normal(self._z.shape, [seed, 0]))
        for _ in range(steps):
            self._step(x)

    def _descend(self, x: tf.Tensor) -> None:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._z)
            loss = tf.reduce_sum(self._loss(self._networks, x, self._z))
        self._optimizer.apply([tape.gradient(loss, self._z)], [self._z])
