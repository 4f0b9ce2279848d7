"""SENCEBGAN: sequentially encoded energy-based GAN (thesis 4.3, table A7).

Three stages, each with everything before it frozen:

1. `ebgan`. Energy e(x) = mean ||D(x) - x||, D(x) = Dec(h(x)). Per step one update of D down
   L_D = e(x) + max(0, m - e(G(z))) (eq. 4.1), then three of G down
   L_G = e(G(z)) + 0.25 PT(h(G(z))) + 0.1 ||h(x) - h(G(z))||, PT of eq. 3.8.
2. `encoder`. E_G down ||G(E_G(x)) - x|| + 0.4 F, F on the decoded images or on the embeddings;
   with `xx`, against a discriminator that tells (x, x) from (x, G(E_G(x))).
3. `reconstruction`. E_R down ||E_R(G(E_G(x))) - E_G(x)||; with `zz`, against a discriminator that
   tells (z, z) from (z, E_R(G(z))), z = E_G(x).

Norms are per patch and not squared; losses are means over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import tensorflow as tf

from semedge_trainer import networks as blocks
from semedge_trainer.adversarial import Discriminator
from semedge_trainer.detectors.base import (
    Losses,
    Networks,
    Schedule,
    ScorePlan,
    Stage,
    StepContext,
    TrainableDetector,
    node,
)
from semedge_trainer.losses import mean_norm
from semedge_trainer.networks import LATENT, Network
from semedge_trainer.randomness import Randomness
from semedge_trainer.spectral import iterate_spectral_vectors
from semedge_trainer.stabilization import Stabilization, pulling_away

MARGIN = 20.0
GENERATOR_UPDATES = 3
PULLING_AWAY_WEIGHT = 0.25
MATCHING_WEIGHT = 0.1
FEATURE_WEIGHT = 0.4
EPOCH_STEPS = 800

RATES_THESIS = {
    "generator": 1e-5,
    "embedding": 5e-6,
    "decoder": 5e-6,
    "encoder": 5e-5,
    "reconstruction_encoder": 5e-5,
    "features_xx": 1e-6,
    "logit_xx": 1e-6,
    "features_zz": 1e-6,
    "logit_zz": 1e-6,
}
RATES_FAST = {
    "generator": 2e-4,
    "embedding": 2e-4,
    "decoder": 2e-4,
    "encoder": 5e-4,
    "reconstruction_encoder": 5e-4,
    "features_xx": 1e-4,
    "logit_xx": 1e-4,
    "features_zz": 1e-4,
    "logit_zz": 1e-4,
}


@dataclass(frozen=True)
class Options(Stabilization):
    """Variants of the thesis and its code.

    The stabilizations are those of the pair discriminators, the only ones here that tell 0 from 1.
    """

    xx: bool = False
    zz: bool = False
    feature_term: str = field(default="embedding", metadata={"choices": ("embedding", "decoded")})
    pulling_away_squared: bool = True


class Sencebgan(TrainableDetector):
    """The networks, stages and scores of SENCEBGAN."""

    name = "sencebgan"
    thesis_section = "4.3, A.7"
    options_class = Options
    schedules: ClassVar = {
        "thesis": Schedule(
            {
                "ebgan": 100 * EPOCH_STEPS,
                "encoder": 100 * EPOCH_STEPS,
                "reconstruction": 400 * EPOCH_STEPS,
            },
            RATES_THESIS,
        ),
        "fast": Schedule({"ebgan": 1200, "encoder": 2000, "reconstruction": 1000}, RATES_FAST),
    }
    options: Options

    def build(self) -> dict[str, Network]:
        """G, the halves h and Dec of D, E_G, E_R, and the pair discriminators that are on."""
        networks = {
            "generator": blocks.generator_ebgan(),
            "embedding": blocks.embedding(),
            "decoder": blocks.decoder(),
            "encoder": blocks.encoder("encoder"),
            "reconstruction_encoder": blocks.encoder("reconstruction_encoder"),
        }
        if self.options.xx:
            networks["features_xx"] = blocks.features_pair_images()
            networks["logit_xx"] = blocks.logit(8 * 8 * 128, "logit_xx", spectral=True)
        if self.options.zz:
            networks["features_zz"] = blocks.features_pair_latents()
            networks["logit_zz"] = blocks.logit(32, "logit_zz")
        return networks

    def stages(self) -> tuple[Stage, ...]:
        """EBGAN, generator encoder, reconstruction encoder."""
        encoder = ["encoder"] + ["features_xx", "logit_xx"] * self.options.xx
        reconstruction = ["reconstruction_encoder"] + [
            "features_zz",
            "logit_zz",
        ] * self.options.zz
        return (
            Stage(
                "ebgan",
                self.rates("generator", "embedding", "decoder"),
                self._step_ebgan,
                self._settle_ebgan,
            ),
            Stage("encoder", self.rates(*encoder), self._step_encoder, self._settle_encoder),
            Stage(
                "reconstruction",
                self.rates(*reconstruction),
                self._step_reconstruction,
                self._settle_reconstruction,
            ),
        )

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(E_G(x)) in inference mode."""
        return networks["generator"](networks["encoder"](patches, training=False), training=False)

    def score_plan(self) -> ScorePlan:
        """Scores of detectors.md: images, latents, embeddings, and pair features where on."""
        nodes = [
            node("z", "encoder", "x"),
            node("y", "generator", "z"),
            node("h_x", "embedding", "x"),
            node("h_y", "embedding", "y"),
            node("d_x", "decoder", "h_x"),
            node("d_y", "decoder", "h_y"),
            node("z_y", "reconstruction_encoder", "y"),
        ]
        scores = {
            "im1": {"im1": 1.0},
            "im2": {"im2": 1.0},
            "final_1": {"final_1": 1.0},
            "final_2": {"final_2": 1.0},
            "final_3": {"final_3": 1.0},
            "comb_im": {"im1": 1.0, "final_1": 0.25},
            "comb_z": {"final_2": 0.55, "final_3": 0.45},
            "embedding_gaussian": {"embedding_gaussian": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
            "statistics_surprise": {"statistics_surprise": 1.0},
        }
        if self.options.xx:
            nodes += [
                node("f_xx", "features_xx", "x", "x"),
                node("f_xy", "features_xx", "x", "y"),
            ]
            scores["features_xx"] = {"features_xx": 1.0}
        if self.options.zz:
            nodes += [
                node("f_zz", "features_zz", "z", "z"),
                node("f_zy", "features_zz", "z", "z_y"),
            ]
            scores["features_zz"] = {"features_zz": 1.0}
        return ScorePlan(tuple(nodes), scores, default="comb_z")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """e(x) of stage 1 and the losses of stages 2 and 3, each moving its own networks only."""
        h, decoder, generator = (networks[name] for name in ("embedding", "decoder", "generator"))
        h_x = h(patches, training=True)
        d_x = decoder(h_x, training=True)
        z = networks["encoder"](patches, training=True)
        y = generator(z, training=True)
        h_y = h(y, training=True)
        decoder(h_y, training=True)
        z_y = networks["reconstruction_encoder"](tf.stop_gradient(y), training=True)
        loss = (
            mean_norm(d_x - patches)
            + mean_norm(y - patches)
            + FEATURE_WEIGHT * mean_norm(tf.stop_gradient(h_x) - h_y)
            + mean_norm(z_y - tf.stop_gradient(z))
        )
        for pair, a, b in (("xx", patches, y), ("zz", z, z_y)):
            if f"features_{pair}" in networks:
                for other in (a, b):
                    networks[f"features_{pair}"](
                        tf.stop_gradient(tf.concat([a, other], -1)), training=True
                    )
        return loss

    def _step_ebgan(self, context: StepContext, x: tf.Tensor) -> Losses:
        networks, random = context.networks, context.random
        generator, h, decoder = (networks[name] for name in ("generator", "embedding", "decoder"))

        def energy(patches: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            embedded = h(patches, training=True)
            return mean_norm(decoder(embedded, training=True) - patches), embedded

        iterate_spectral_vectors(h)
        fake = tf.stop_gradient(generator(random.normal((tf.shape(x)[0], LATENT)), training=True))
        energies: Losses = {}

        def loss_d() -> tf.Tensor:
            energies["energy_real"], _ = energy(x)
            energies["energy_fake"], _ = energy(fake)
            return energies["energy_real"] + tf.nn.relu(MARGIN - energies["energy_fake"])

        loss_discriminator = context.descend(("embedding", "decoder"), loss_d)
        h_x = tf.stop_gradient(h(x, training=True))
        terms: Losses = {}

        def loss_g() -> tf.Tensor:
            z = random.normal((tf.shape(x)[0], LATENT))
            energy_fake, h_fake = energy(generator(z, training=True))
            terms["pulling_away"] = pulling_away(h_fake, squared=self.options.pulling_away_squared)
            return (
                energy_fake
                + PULLING_AWAY_WEIGHT * terms["pulling_away"]
                + MATCHING_WEIGHT * mean_norm(h_x - h_fake)
            )

        for _ in range(GENERATOR_UPDATES):
            loss_generator = context.descend(("generator",), loss_g)
        return {
            "discriminator": loss_discriminator,
            "generator": loss_generator,
            **energies,
            **terms,
        }

    def _settle_ebgan(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["generator"](random.normal((tf.shape(x)[0], LATENT)), training=True)
        networks["decoder"](networks["embedding"](x, training=True), training=True)

    def _step_encoder(self, context: StepContext, x: tf.Tensor) -> Losses:
        networks = context.networks
        generator, h, decoder = (networks[name] for name in ("generator", "embedding", "decoder"))

        def features(patches: tf.Tensor) -> tf.Tensor:
            embedded = h(patches, training=False)
            if self.options.feature_term == "decoded":
                return decoder(embedded, training=False)
            return embedded

        features_x = features(x)
        losses: Losses = {}

        def loss() -> tf.Tensor:
            y = generator(networks["encoder"](x, training=True), training=False)
            losses["image"] = mean_norm(y - x)
            losses["features"] = mean_norm(features_x - features(y))
            total = losses["image"] + FEATURE_WEIGHT * losses["features"]
            if self.options.xx:
                losses["adversarial"] = discriminator.loss_as_real(x, y)
                total += losses["adversarial"]
            return total

        if self.options.xx:
            discriminator = self._pair_discriminator(context, "xx")
            y = generator(networks["encoder"](x, training=True), training=False)
            losses["discriminator_xx"] = discriminator.learn((x, x), (x, y))
        losses["encoder"] = context.descend(("encoder",), loss)
        return losses

    def _settle_encoder(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        networks["encoder"](x, training=True)

    def _step_reconstruction(self, context: StepContext, x: tf.Tensor) -> Losses:
        networks = context.networks
        z = networks["encoder"](x, training=False)
        y = networks["generator"](z, training=False)
        losses: Losses = {}

        def loss() -> tf.Tensor:
            z_y = networks["reconstruction_encoder"](y, training=True)
            losses["latent"] = mean_norm(z_y - z)
            if not self.options.zz:
                return losses["latent"]
            losses["adversarial"] = discriminator.loss_as_real(z, z_y)
            return losses["latent"] + losses["adversarial"]

        if self.options.zz:
            discriminator = self._pair_discriminator(context, "zz")
            z_y = networks["reconstruction_encoder"](y, training=True)
            losses["discriminator_zz"] = discriminator.learn((z, z), (z, z_y))
        losses["reconstruction_encoder"] = context.descend(("reconstruction_encoder",), loss)
        return losses

    def _settle_reconstruction(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        y = self.reconstruct(networks, x)
        networks["reconstruction_encoder"](y, training=True)

    def _pair_discriminator(self, context: StepContext, pair: str) -> Discriminator:
        """Tells (a, a) from (a, b)."""
        return Discriminator(context, self.options, (f"features_{pair}", f"logit_{pair}"))
