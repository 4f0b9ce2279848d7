"""SENCEBGAN: sequentially encoded energy-based GAN (thesis 4.3, table A7).

Three stages, each with everything before it frozen:

1. `ebgan`. Energy e(x) = mean ||D(x) - x||, D(x) = Dec(h(x)). Per step one update of D down
   L_D = e(x) + max(0, m - e(G(z))) (eq. 4.1), then three of G down
   L_G = e(G(z)) + 0.25 PT(h(G(z))) + 0.1 ||h(x) - h(G(z))||, PT of eq. 3.8.
2. `encoder`. E_G down ||G(E_G(x)) - x|| + 0.4 F, F on the decoded images or on the embeddings;
   with `xx`, against a discriminator that separates (x, x) from (x, G(E_G(x))).
3. `reconstruction`. E_R down ||E_R(G(E_G(x))) - E_G(x)||; with `zz`, against a discriminator that
   separates (z, z) from (z, E_R(G(z))), z = E_G(x). With `denoiser`, E_R's place is taken by a
   residual denoiser N of 20 layers, down ||N(y + noise) - x||, y = G(E_G(x)), after the author's
   code (Remez et al., "Deep class-aware image denoising"): it scores by ||x - N(y)|| and its L1
   form.

Norms are per patch and not squared; losses are means over the batch. The author's code scores by
`comb_z`. It grows with contrast, and whether anomalous patches have more or less of it than normal
ones, normal frames cannot tell. The default is `residual_surprise`, how rare a residual is among
normal patches of the same statistics, which they can.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import tensorflow as tf
from keras import Input, Model, layers

from semedge.core.errors import SemedgeError
from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import PATCH_PX, LayerOutput, Network
from semedge_trainer.components.losses import mean_norm
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.stabilization import Stabilization
from semedge_trainer.detectors import energy
from semedge_trainer.detectors.adversarial import pair_discriminator
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
from semedge_trainer.detectors.energy import (
    ENCODER_RATE,
    FAST_FACTOR,
    EncodedOptions,
    ebgan_stage,
    encoder_loss,
    encoder_terms,
    energy_networks,
    fine_tuning_terms,
    image_nodes,
    settle_encoder,
)

MATCHING_WEIGHT = 0.1
DENOISER_LAYERS = 20
DENOISER_FILTERS = 63
NOISE_DEVIATION = 1.0

DENOISER_RATE = 1e-4

STAGES = ("ebgan", "encoder", "reconstruction")
RATES = {
    **energy.RATES,
    "encoder": ENCODER_RATE,
    "reconstruction_encoder": ENCODER_RATE,
    "denoiser": DENOISER_RATE,
    "features_xx": 1e-6,
    "logit_xx": 1e-6,
    "features_zz": 1e-6,
    "logit_zz": 1e-6,
}


def schedule_of(*steps: int) -> Schedule:
    """The steps of each stage, at the rates of table A7."""
    return Schedule(dict(zip(STAGES, steps, strict=True)), RATES)


@dataclass(frozen=True)
class Options(EncodedOptions, Stabilization):
    """Variants of the thesis and of the author's code.

    The stabilizations are those of the pair discriminators, the only ones here that classify as 0
    or 1.
    """

    xx: bool = False
    zz: bool = False
    feature_term: str = field(default="embedding", metadata={"choices": ("embedding", "decoded")})
    denoiser: bool = False

    def __post_init__(self) -> None:
        EncodedOptions.__post_init__(self)
        Stabilization.__post_init__(self)
        if self.denoiser and self.zz:
            raise SemedgeError(
                "zz=true judges latents that the reconstruction encoder finds, and denoiser=true "
                "takes that encoder's place; choose one of them."
            )


class Sencebgan(TrainedDetector, Reconstructing, Sampling, FineTunable):
    """The networks, stages and scores of SENCEBGAN."""

    name = "sencebgan"
    thesis_section = "4.3, A.7"
    options_class = Options
    schedules: ClassVar = {
        "appendix": schedule_of(*[APPENDIX_STEPS] * len(STAGES)),
        "author": schedule_of(100 * EPOCH_STEPS, 100 * EPOCH_STEPS, 400 * EPOCH_STEPS),
        "fast": schedule_of(1200, 2000, 1000).faster(FAST_FACTOR),
    }
    options: Options

    def build(self) -> dict[str, Network]:
        """G, the halves h and Dec of D, E_G, E_R or N, and the pair discriminators that are on."""
        options = self.options
        networks = energy_networks(options) | {"encoder": options.encoder("encoder")}
        if options.denoiser:
            networks["denoiser"] = denoiser(self.patch_px)
        else:
            networks["reconstruction_encoder"] = options.encoder("reconstruction_encoder")
        if options.xx:
            networks["features_xx"] = blocks.features_pair_images(patch_px=self.patch_px)
            networks["logit_xx"] = blocks.logit_pair_images(networks["features_xx"])
        if options.zz:
            networks["features_zz"] = blocks.features_pair_latents()
            networks["logit_zz"] = blocks.logit(32, "logit_zz")
        return networks

    def stages(self) -> tuple[Stage, ...]:
        """EBGAN, generator encoder, reconstruction encoder or denoiser."""
        encoder = ["encoder"] + ["features_xx", "logit_xx"] * self.options.xx
        reconstruction = ["reconstruction_encoder"] + [
            "features_zz",
            "logit_zz",
        ] * self.options.zz
        return (
            ebgan_stage(
                self.rates("generator", "embedding", "decoder"),
                pulling_away_squared=self.options.pulling_away_squared,
                pulling_away_weight=self.options.pulling_away_weight,
                matching_weight=MATCHING_WEIGHT,
            ),
            Stage("encoder", self.rates(*encoder), self._step_encoder, settle_encoder, self.missed),
            Stage("reconstruction", self.rates("denoiser"), self._step_denoiser, _settle_nothing)
            if self.options.denoiser
            else Stage(
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
        nodes = list(image_nodes("x"))
        scores = {
            "im1": {"im1": 1.0},
            "im2": {"im2": 1.0},
            "final_2": {"final_2": 1.0},
            "final_3": {"final_3": 1.0},
            "comb_z": {"final_2": 0.55, "final_3": 0.45},
            "embedding_gaussian": {"embedding_gaussian": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
            "statistics_surprise": {"statistics_surprise": 1.0},
        }
        if self.options.denoiser:
            nodes.append(node("n_y", "denoiser", "y"))
            scores["denoised"] = {"denoised": 1.0}
            scores["denoised_l1"] = {"denoised_l1": 1.0}
        else:
            nodes.append(node("z_y", "reconstruction_encoder", "y"))
            scores["final_1"] = {"final_1": 1.0}
            scores["comb_im"] = {"im1": 1.0, "final_1": 0.25}
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
        return ScorePlan(tuple(nodes), scores, default="residual_surprise")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """e(x) of stage 1 and the losses of stages 2 and 3, each moving its own networks only."""
        loss, z, y = fine_tuning_terms(networks, patches)
        pairs = {"xx": (patches, y)}
        if self.options.denoiser:
            loss += mean_norm(networks["denoiser"](tf.stop_gradient(y), training=True) - patches)
        else:
            z_y = networks["reconstruction_encoder"](tf.stop_gradient(y), training=True)
            loss += mean_norm(z_y - tf.stop_gradient(z))
            pairs["zz"] = (z, z_y)
        for pair, (a, b) in pairs.items():
            if f"features_{pair}" in networks:
                for other in (a, b):
                    networks[f"features_{pair}"](
                        tf.stop_gradient(tf.concat([a, other], -1)), training=True
                    )
        return loss

    def _step_encoder(self, context: StepContext, x: tf.Tensor) -> Losses:
        networks = context.networks
        losses: Losses = {}

        def loss() -> tf.Tensor:
            y, terms = encoder_terms(
                networks,
                x,
                decoded=self.options.feature_term == "decoded",
                energy=self.options.encoder_energy,
            )
            losses.update(terms)
            total = encoder_loss(terms)
            if self.options.xx:
                discriminator = pair_discriminator(context, self.options, "xx")
                losses["discriminator_xx"] = discriminator.learn((x, x), (x, y))
                losses["adversarial"] = discriminator.loss_as_real(x, y)
                total += losses["adversarial"]
            return total

        losses["encoder"] = context.descend(("encoder",), loss)
        return losses

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
            discriminator = pair_discriminator(context, self.options, "zz")
            losses["discriminator_zz"] = discriminator.learn((z, z), (z, z_y))
            losses["adversarial"] = discriminator.loss_as_real(z, z_y)
            return losses["latent"] + losses["adversarial"]

        losses["reconstruction_encoder"] = context.descend(("reconstruction_encoder",), loss)
        return losses

    def _step_denoiser(self, context: StepContext, x: tf.Tensor) -> Losses:
        networks = context.networks
        y = self.reconstruct(networks, x)
        noisy = y + NOISE_DEVIATION * context.random.normal(tf.shape(y))

        def loss() -> tf.Tensor:
            return mean_norm(networks["denoiser"](noisy, training=True) - x)

        return {"denoiser": context.descend(("denoiser",), loss)}

    def _settle_reconstruction(self, networks: Networks, x: tf.Tensor, random: Randomness) -> None:
        y = self.reconstruct(networks, x)
        networks["reconstruction_encoder"](y, training=True)


def denoiser(patch_px: int = PATCH_PX) -> Network:
    """N of the author's code: patches `(n, 32, 32, 1)` to patches, as what is added to them.

    A chain of 20 convolutions 3x3 of 63 channels with ReLU; a convolution of one channel looks at
    the input and at each of them, and the sum of the 21 is added to the input.
    """
    patches = Input((patch_px, patch_px, 1), name="patches")
    values = patches
    corrections = [_same_size("side0", patches, 1)]
    for index in range(1, DENOISER_LAYERS + 1):
        values = _same_size(f"conv{index}", values, DENOISER_FILTERS)
        values = layers.Activation("relu", name=f"conv{index}_relu")(values)
        corrections.append(_same_size(f"side{index}", values, 1))
    correction = layers.Add(name="correction")(corrections)
    return Model(
        patches,
        layers.Add(name="denoised", dtype="float32")([patches, correction]),
        name="denoiser",
    )


def _same_size(name: str, values: LayerOutput, filters: int) -> LayerOutput:
    return layers.Conv2D(
        filters, 3, padding="same", kernel_initializer=blocks.INITIALIZER, name=name
    )(values)


def _settle_nothing(networks: Networks, x: tf.Tensor, random: Randomness) -> None:
    """The denoiser has no batch normalization."""
