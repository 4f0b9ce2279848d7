"""EBGAN: energy-based GAN (Zhao et al. 2017; thesis 3.2).

One stage, eq. 3.7 with the pulling-away term of eq. 3.8. A patch is scored by its energy
||x - D(x)||, or by how far h(x) is from the embedding of the image that G draws from it,
||h(x) - h(G(h(x)))||.

The thesis has no table of EBGAN's layers: they are those of table A6, whose G and D it is; so are
the learning rates. Margin 20, pulling-away weight 0.25, three updates of G a step and the 100
epochs of the `author` schedule are the author's code's, where the thesis is silent.
"""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from semedge_trainer.components.blocks import Network
from semedge_trainer.components.losses import mean_norm
from semedge_trainer.detectors.base import (
    APPENDIX_STEPS,
    EPOCH_STEPS,
    FineTunable,
    Networks,
    Reconstructing,
    Sampling,
    Schedule,
    ScorePlan,
    Stage,
    TrainedDetector,
    node,
)
from semedge_trainer.detectors.energy import (
    FAST_FACTOR,
    RATES,
    EnergyOptions,
    ebgan_stage,
    energy_networks,
)


class Ebgan(TrainedDetector, Reconstructing, Sampling, FineTunable):
    """The networks, the stage and the scores of EBGAN."""

    name = "ebgan"
    thesis_section = "3.2"
    options_class = EnergyOptions
    schedules: ClassVar = {
        "appendix": Schedule({"ebgan": APPENDIX_STEPS}, RATES),
        "author": Schedule({"ebgan": 100 * EPOCH_STEPS}, RATES),
        "fast": Schedule({"ebgan": 1200}, RATES).faster(FAST_FACTOR),
    }
    options: EnergyOptions

    def build(self) -> dict[str, Network]:
        """G, and the halves h and Dec of D."""
        return energy_networks(self.options)

    def stages(self) -> tuple[Stage, ...]:
        """EBGAN."""
        rates = self.rates("generator", "embedding", "decoder")
        return (
            ebgan_stage(
                rates,
                pulling_away_squared=self.options.pulling_away_squared,
                pulling_away_weight=self.options.pulling_away_weight,
            ),
        )

    def reconstruct(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """G(h(x)) in inference mode."""
        return networks["generator"](networks["embedding"](patches, training=False), training=False)

    def score_plan(self) -> ScorePlan:
        """Energy, embedding, and the code's residual of G(h(x))."""
        nodes = (
            node("h_x", "embedding", "x"),
            node("d_x", "decoder", "h_x"),
            node("y", "generator", "h_x"),
            node("h_y", "embedding", "y"),
        )
        scores = {
            "energy": {"energy": 1.0},
            "embedding": {"final_3": 1.0},
            "im1": {"im1": 1.0},
        }
        return ScorePlan(nodes, scores, default="energy")

    def fine_tuning_loss(self, networks: Networks, patches: tf.Tensor) -> tf.Tensor:
        """e(x) and ||h(x) - h(G(h(x)))||, what the scores measure; eq. 3.7 has nothing on h(x)."""
        h, decoder, generator = (networks[name] for name in ("embedding", "decoder", "generator"))
        h_x = h(patches, training=True)
        y = generator(tf.stop_gradient(h_x), training=True)
        h_y = h(y, training=True)
        return mean_norm(decoder(h_x, training=True) - patches) + mean_norm(
            tf.stop_gradient(h_x) - h_y
        )
