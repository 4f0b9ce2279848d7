"""SENCEBGAN (thesis 4.3) on pretrained features, where the thesis has it on gray values.

An item is a place of the frame: the features of two depths of EfficientNet-Lite0 there, whitened by
what normal frames show, in the directions of least variance (see `texture_gaussian`). Every network
is a chain of 1x1 convolutions, so that it runs over the whole map at once. The three stages are
those of the thesis:

1. EBGAN, D an autoencoder of features, its margin the norm of an item that nothing is known of.
2. E_G down ||G(E_G(w)) - w|| + 0.4 ||h(w) - h(G(E_G(w)))||.
3. E_R down ||E_R(G(E_G(w))) - E_G(w)||.

They take a minute or two and are a fit: no checkpoint is kept of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from keras import Input, Model, layers

from semedge.core.console import progress as shown
from semedge.core.frame import GrayImage
from semedge.learning.gaussian import gaussian_of
from semedge_trainer.components.blocks import INITIALIZER, LEAKY_SLOPE, Network
from semedge_trainer.components.efficientnet import group_of
from semedge_trainer.components.losses import mean_norm
from semedge_trainer.components.optimizer import FusedAdam
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.base import (
    Losses,
    Networks,
    Schedule,
    ScorePlan,
    Stage,
    StepContext,
    node,
)
from semedge_trainer.detectors.energy import (
    ebgan_stage,
    encoder_loss,
    encoder_terms,
    image_nodes,
    settle_encoder,
)
from semedge_trainer.detectors.texture_features import (
    SEED,
    Array,
    TextureFeatures,
    TextureOptions,
    check_option,
)

DEPTHS = (6, 9)
KEPT = 0.75
HIDDEN = 128
MATCHING_WEIGHT = 0.1
ADAM_BETA_1 = 0.5


@dataclass(frozen=True)
class SencebganFeaturesOptions(TextureOptions):
    """Variants of the detector.

    Attributes
    ----------
    latent
        Values of a latent.
    """

    latent: int = 24


class SencebganFeatures(TextureFeatures):
    """The energy, image and latent scores of SENCEBGAN, of features instead of gray values."""

    name: ClassVar[str] = "sencebgan-features"
    thesis_section: ClassVar[str] = "none: 4.3 on pretrained features"
    options_class: ClassVar[type] = SencebganFeaturesOptions
    schedules: ClassVar[Mapping[str, Schedule]] = {
        "fast": Schedule(
            {"ebgan": 1500, "encoder": 1500, "reconstruction": 1000},
            {
                "generator": 5e-4,
                "embedding": 5e-4,
                "decoder": 5e-4,
                "encoder": 1e-3,
                "reconstruction_encoder": 1e-3,
            },
            batch=256,
        )
    }
    options: SencebganFeaturesOptions

    def __init__(self, options: SencebganFeaturesOptions, schedule: Schedule) -> None:
        check_option(options, "latent", 1, 512)
        super().__init__(options, schedule, DEPTHS)
        self.channels = tuple(group_of(depth).filters for depth in DEPTHS)
        self.directions = sum(round(KEPT * channels) for channels in self.channels)

    def networks_of(self, tile_shape: tuple[int | None, int | None]) -> dict[str, Network]:
        """The pretrained segments, the whitening, G, the halves h and Dec of D, E_G and E_R."""
        rows, columns = (side_px and side_px // self.stride_px for side_px in tile_shape)
        return super().networks_of(tile_shape) | self._places((rows, columns))

    def _places(self, shape: tuple[int | None, int | None]) -> dict[str, Network]:
        latent, directions = self.options.latent, self.directions
        return {
            "whitening": _chain("whitening", shape, sum(self.channels), directions),
            "generator": _chain("generator", shape, latent, HIDDEN, directions),
            "embedding": _chain("embedding", shape, directions, HIDDEN, latent),
            "decoder": _chain("decoder", shape, latent, HIDDEN, directions),
            "encoder": _chain("encoder", shape, directions, HIDDEN, latent),
            "reconstruction_encoder": _chain(
                "reconstruction_encoder", shape, directions, HIDDEN, latent
            ),
        }

    def score_plan(self) -> ScorePlan:
        """The scores of SENCEBGAN, the energy of D, and what they are worth without any network."""
        return ScorePlan(
            nodes=(
                *self.feature_nodes(),
                node("w", "whitening", "f6", "f9"),
                *image_nodes("w"),
                node("z_y", "reconstruction_encoder", "y"),
            ),
            scores={
                "energy": {"feature_energy": 1.0},
                "im1": {"feature_residual": 1.0},
                "im2": {"im2": 1.0},
                "final_1": {"final_1": 1.0},
                "final_2": {"final_2": 1.0},
                "final_3": {"final_3": 1.0},
                "comb_im": {"feature_residual": 1.0, "final_1": 0.25},
                "comb_z": {"final_2": 0.55, "final_3": 0.45},
                "norm": {"feature_norm": 1.0},
            },
            default="im1",
        )

    def fit_frames(
        self,
        networks: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int] | None = None,
    ) -> dict[str, Array]:
        """Set the whitening and train the networks, in place; no array comes of it."""
        features = self.gather(images, lambda image: self.features(networks, image, tile_shape))
        whitened = self._whiten(networks["whitening"], list(features.values()))
        for stage in self._stages():
            _train(stage, networks, whitened, self.schedule)
        return {}

    def refit(
        self,
        fitted: Mapping[str, Array],
        graphs: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int],
    ) -> dict[str, Array]:
        """Nothing to fit again."""
        return dict(fitted)

    def _whiten(self, whitening: Network, features: list[Array]) -> Array:
        """Set the whitening's weights; gives the features `(places, 1, 1, directions)`."""
        kernel = np.zeros((sum(self.channels), self.directions), np.float32)
        bias = np.zeros(self.directions, np.float32)
        row = column = 0
        for values in features:
            mean, directions = gaussian_of(values, self.options.ridge, KEPT)
            rows, columns = directions.shape
            kernel[row : row + rows, column : column + columns] = directions
            bias[column : column + columns] = -mean @ directions
            row, column = row + rows, column + columns
        whitening.set_weights([kernel[None, None], bias])
        whitened: Array = np.concatenate(features, axis=1) @ kernel + bias
        return whitened[:, None, None, :]

    def _stages(self) -> tuple[Stage, ...]:
        return (
            ebgan_stage(
                self.rates("generator", "embedding", "decoder"),
                pulling_away_squared=True,
                matching_weight=MATCHING_WEIGHT,
                margin=float(np.sqrt(self.directions)),
                latent_shape=(1, 1, self.options.latent),
            ),
            Stage("encoder", self.rates("encoder"), _step_encoder, settle_encoder),
            Stage(
                "reconstruction",
                self.rates("reconstruction_encoder"),
                _step_reconstruction,
                settle_encoder,
            ),
        )


def _chain(name: str, shape: tuple[int | None, int | None], *channels: int) -> Network:
    """1x1 convolutions from the first number of channels to the last; leaky ReLU in between.

    The last gives float32 also under mixed precision.
    """
    source = Input((*shape, channels[0]), name="source")
    values = source
    for index, filters in enumerate(channels[1:]):
        if index:
            values = layers.LeakyReLU(LEAKY_SLOPE, name=f"{name}{index}_lrelu")(values)
        is_last = index == len(channels) - 2
        values = layers.Conv2D(
            filters,
            1,
            kernel_initializer=INITIALIZER,
            dtype="float32" if is_last else None,
            name=f"{name}{index + 1}",
        )(values)
    return Model(source, values, name=name)


def _step_encoder(context: StepContext, w: tf.Tensor) -> Losses:
    terms: Losses = {}

    def loss() -> tf.Tensor:
        _, found = encoder_terms(context.networks, w)
        terms.update(found)
        return encoder_loss(found)

    return {"encoder": context.descend(("encoder",), loss), **terms}


def _step_reconstruction(context: StepContext, w: tf.Tensor) -> Losses:
    networks = context.networks
    z = networks["encoder"](w, training=False)
    y = networks["generator"](z, training=False)

    def loss() -> tf.Tensor:
        return mean_norm(networks["reconstruction_encoder"](y, training=True) - z)

    return {"reconstruction_encoder": context.descend(("reconstruction_encoder",), loss)}


def _train(stage: Stage, networks: Networks, items: Array, schedule: Schedule) -> None:
    """Run a stage on random items."""
    optimizers = {}
    for name, rate in stage.learning_rates.items():
        optimizers[name] = FusedAdam(rate, beta_1=ADAM_BETA_1)
        optimizers[name].build(networks[name].trainable_variables)

    @tf.function(autograph=False)
    def take_step(step: tf.Tensor, batch: tf.Tensor) -> Losses:
        progress = tf.cast(step, tf.float32) / schedule.steps[stage.name]
        context = StepContext(networks, optimizers, Randomness(SEED, step), progress)
        return stage.step(context, batch)

    random = np.random.default_rng(SEED)
    for step in shown(range(schedule.steps[stage.name]), stage.name):
        chosen = random.integers(len(items), size=schedule.batch)
        take_step(tf.constant(step), tf.constant(items[chosen]))
