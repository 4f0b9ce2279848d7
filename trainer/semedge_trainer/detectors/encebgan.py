"""ENCEBGAN: encoded energy-based GAN (thesis 4.2.3, table A6).

Two stages, the second with everything before it frozen:

1. `ebgan`. EBGAN: L_D = e(x) + max(0, m - e(G(z))) and L_G = e(G(z)) + 0.25 PT(h(G(z))).
2. `encoder`. E down ||G(E(x)) - x|| + 0.4 ||h(x) - h(G(E(x)))||.

The thesis leaves the text of 4.2.3 and 4.2.4 empty: losses, scores and their weights are the
author's code's, and so are the 101 and 300 epochs of the `author` schedule, where table A6 says 50.
"""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from semedge_trainer.components.blocks import Network
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
)
from semedge_trainer.detectors.energy import (
    ENCODER_RATE,
    FAST_FACTOR,
    RATES,
    EncodedOptions,
    ebgan_stage,
    encoder_loss,
    encoder_terms,
    energy_networks,
    fine_tuning_terms,
    image_nodes,
    settle_encoder,
)

FIRST_WEIGHT = 0.55
SECOND_WEIGHT = 0.45
ENCODED_RATES = {**RATES, "encoder": ENCODER_RATE}


class Encebgan(TrainedDetector, Reconstructing, Sampling, FineTunable):
    """The networks, stages and scores of ENCEBGAN."""

    name = "encebgan"
    thesis_section = "4.2.3, A.6"
    options_class = EncodedOptions
    schedules: ClassVar = {
        "appendix": Schedule({"ebgan": APPENDIX_STEPS, "encoder": APPENDIX_STEPS}, ENCODED_RATES),
        "author": Schedule(
            {"ebgan": 101 * EPOCH_STEPS, "encoder": 300 * EPOCH_STEPS}, ENCODED_RATES
        ),
        "fast": Schedule({"ebgan": 1200, "encoder": 2000}, ENCODED_RATES).faster(FAST_FACTOR),
    }
    options: EncodedOptions

    def build(self) -> dict[str, Network]:
        """G, the halves h and Dec of D, and E."""
        options = self.options
        return energy_networks(options) | {"encoder": options.encoder("encoder")}

    def stages(self) -> tuple[Stage, ...]:
        """EBGAN, encoder."""
        return (
            ebgan_stage(
                self.rates("generator", "embedding", "decoder"),
                pulling_away_squared=self.options.pulling_away_squared,
                pulling_away_weight=self.options.pulling_away_weight,
            ),
            Stage(
                "encoder", self.rates("encoder"), self._step_encoder, settle_encoder, self.missed
            ),
        )

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(E(x)) in inference mode."""
        return networks["generator"](networks["encoder"](patches, training=False), training=False)

    def score_plan(self) -> ScorePlan:
        """The six scores of the author's code, in images and in latents, and two rarities.

        The default is a rarity for the reason that `sencebgan` gives.
        """
        scores = {
            "im1": {"im1": 1.0},
            "im2": {"im2": 1.0},
            "comb_im": {"im1": FIRST_WEIGHT, "im2": SECOND_WEIGHT},
            "z1": {"final_2": 1.0},
            "z2": {"final_3": 1.0},
            "comb_z": {"final_2": FIRST_WEIGHT, "final_3": SECOND_WEIGHT},
            "embedding_gaussian": {"embedding_gaussian": 1.0},
            "residual_surprise": {"residual_surprise": 1.0},
        }
        return ScorePlan(image_nodes("x"), scores, default="residual_surprise")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """e(x) of stage 1 and the loss of stage 2."""
        loss, _, _ = fine_tuning_terms(networks, patches)
        return loss

    def _step_encoder(self, context: StepContext, x: tf.Tensor) -> Losses:
        losses: Losses = {}

        def loss() -> tf.Tensor:
            _, terms = encoder_terms(context.networks, x, energy=self.options.encoder_energy)
            losses.update(terms)
            return encoder_loss(terms)

        losses["encoder"] = context.descend(("encoder",), loss)
        return losses
