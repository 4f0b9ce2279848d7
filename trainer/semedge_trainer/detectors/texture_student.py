"""A student that predicts pretrained features of normal material, and a Gaussian of its errors.

The features are those of `texture_gaussian`, whitened. A small network, the student, learns from
normal frames to predict them from the gray values (Bergmann et al., "Uninformed Students:
Student-Teacher Anomaly Detection with Discriminative Latent Embeddings", 2020). What it predicts
is no longer counted as anomalous; a place is as anomalous as the rest is far from what is left over
on normal frames, by Mahalanobis distance.

Each frame is also shown with a few pixels cut off above and on the left: the pretrained network,
whose strides divide no such shift, sees it anew, and the student does not learn its frames by
heart. Half of the work on top of `texture_gaussian`'s is the price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import Input, Model, layers

from semedge.core.console import progress
from semedge.core.frame import GrayImage
from semedge.inference.scores.distances import whitened
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.efficientnet import group_of
from semedge_trainer.detectors.base import Networks, Schedule, ScorePlan, node
from semedge_trainer.detectors.texture_features import (
    SEED,
    Array,
    TextureFeatures,
    TextureOptions,
    gaussians_of,
)

DEPTHS = (5, 6, 9)
KEPT = 0.75
"""Share of the directions of each depth, those of least variance."""
WIDTHS = ("64", "32")
SHIFTS_PX = tuple((down, right) for down in (0, 5, 11) for right in (0, 5, 11))
MOST_VIEWS = 45
"""Frames and shifted frames that the student learns from, at most."""
CROP_PLACES = 12
"""Rows and columns of places in a crop that the student is shown, at most."""


@dataclass(frozen=True)
class TextureStudentOptions(TextureOptions):
    """Variants of the detector.

    Attributes
    ----------
    width
        Filters of the student's later convolutions; fewer are faster.
    """

    width: str = field(default="64", metadata={"choices": WIDTHS})


@dataclass(frozen=True)
class _View:
    """What the student learns from one frame.

    Attributes
    ----------
    values
        Gray values as the networks see them, the margin included, `(height, width, 1)`.
    targets
        Whitened features at the places inside the margin, `(rows, columns, directions)`.
    """

    values: Array
    targets: Array


class TextureStudent(TextureFeatures):
    """Mahalanobis distance of what a student does not predict of pretrained features."""

    name: ClassVar[str] = "texture-student"
    thesis_section: ClassVar[str] = "none: student and teacher, after Bergmann et al. 2020"
    options_class: ClassVar[type] = TextureStudentOptions
    schedules: ClassVar[Mapping[str, Schedule]] = {
        "fast": Schedule({"student": 5000}, {"student": 1e-3}, batch=4)
    }
    options: TextureStudentOptions

    def __init__(self, options: TextureStudentOptions, schedule: Schedule) -> None:
        super().__init__(options, schedule, DEPTHS)

    def networks_of(self, tile_shape: tuple[int | None, int | None]) -> dict[str, Network]:
        """The pretrained segments, the student, and its last layer for each depth."""
        return super().networks_of(tile_shape) | self._students(tile_shape)

    def score_plan(self) -> ScorePlan:
        """The mean of the depths' distances, and each alone."""
        alone = {f"unforeseen_{depth}": 1.0 for depth in DEPTHS}
        together = {name: 1.0 / len(alone) for name in alone}
        return ScorePlan(
            nodes=(
                *self.feature_nodes(),
                node("s", "student", "x"),
                *(node(f"s{depth}", f"foreseen{depth}", "s") for depth in DEPTHS),
            ),
            scores={"unforeseen": together, **{name: {name: 1.0} for name in alone}},
            default="unforeseen",
        )

    def fit_frames(
        self,
        networks: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int] | None = None,
    ) -> dict[str, Array]:
        """Whiten the features, train the student in place, and fit the Gaussian of its errors."""
        features = self.gather(images, lambda image: self.features(networks, image, tile_shape))
        fitted = gaussians_of(features, self.options.ridge, KEPT)
        views = [self._view(networks, fitted, image) for image in _shifted(images)]
        self._teach(networks, views)
        return fitted | self._gaussians(fitted, networks, images, tile_shape)

    def refit(
        self,
        fitted: Mapping[str, Array],
        graphs: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int],
    ) -> dict[str, Array]:
        """The Gaussian of the errors, in which the rounding is one more; the rest stays."""
        return {**fitted, **self._gaussians(fitted, graphs, images, tile_shape)}

    def _students(self, tile_shape: tuple[int | None, int | None]) -> dict[str, Network]:
        width = int(self.options.width)
        rows, columns = (side and side // self.stride_px for side in tile_shape)
        found = {"student": _student(tile_shape, width)}
        for depth in DEPTHS:
            source = Input((rows, columns, width), name="source")
            foreseen = layers.Conv2D(
                self._directions(depth), 1, dtype="float32", name=f"foreseen{depth}"
            )(source)
            found[f"foreseen{depth}"] = Model(source, foreseen, name=f"foreseen{depth}")
        return found

    def _directions(self, depth: int) -> int:
        finer = self.stride_px // group_of(depth).stride_px
        return round(KEPT * group_of(depth).filters * finer**2)

    def _view(self, networks: Networks, fitted: Mapping[str, Array], image: GrayImage) -> _View:
        shown = self.shown(image)
        features = _whitened(self.features_of(networks, shown), fitted)
        return _View(shown.values[0], np.concatenate(list(features.values()), axis=-1))

    def _teach(self, networks: Networks, views: list[_View]) -> None:
        """Descend the mean squared error of the whitened features on crops of the views."""
        student = networks["student"]
        heads = [networks[f"foreseen{depth}"] for depth in DEPTHS]
        variables = [
            variable for network in (student, *heads) for variable in network.trainable_variables
        ]
        optimizer = keras.optimizers.Adam(self.schedule.learning_rates["student"])
        optimizer.build(variables)
        margin = self.margin_px // self.stride_px

        @tf.function(autograph=False)
        def take_step(values: tf.Tensor, targets: tf.Tensor) -> None:
            with tf.GradientTape() as tape:
                found = student(values, training=True)
                foreseen = tf.concat([head(found, training=True) for head in heads], axis=-1)
                inside = foreseen[:, margin:-margin, margin:-margin]
                loss = tf.reduce_mean(tf.square(inside - targets))
            optimizer.apply(tape.gradient(loss, variables), variables)

        random = np.random.default_rng(SEED)
        side = min(CROP_PLACES, *(least for view in views for least in view.targets.shape[:2]))
        for _ in progress(range(self.schedule.steps["student"]), "student"):
            chosen = random.choice(len(views), self.schedule.batch)
            crops = [self._crop(views[index], side, random) for index in chosen]
            take_step(*(tf.constant(np.stack(each)) for each in zip(*crops, strict=True)))

    def _crop(self, view: _View, side: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Gray values and targets of `side` places each way, the values with their margin."""
        row, column = (int(random.integers(most - side + 1)) for most in view.targets.shape[:2])
        top, left = row * self.stride_px, column * self.stride_px
        span = side * self.stride_px + 2 * self.margin_px
        return (
            view.values[top : top + span, left : left + span],
            view.targets[row : row + side, column : column + side],
        )

    def _gaussians(
        self,
        fitted: Mapping[str, Array],
        networks: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int] | None,
    ) -> dict[str, Array]:
        """Mean and whitening of what the student leaves over of each depth on normal frames."""

        def errors(image: GrayImage) -> dict[str, Array]:
            shown = self.shown(image, tile_shape)
            student = networks["student"](shown.values)
            features = _whitened(self.features_of(networks, shown), fitted)
            return {
                f"e{depth}": features[f"f{depth}"]
                - shown.inside(networks[f"foreseen{depth}"](student))
                for depth in DEPTHS
            }

        return gaussians_of(self.gather(images, errors), self.options.ridge, kept=1.0)


def _whitened(features: Mapping[str, Array], fitted: Mapping[str, Array]) -> dict[str, Array]:
    return {
        name: whitened(values, fitted[f"{name}_mean"], fitted[f"{name}_whitening"])
        for name, values in features.items()
    }


def _shifted(images: tuple[GrayImage, ...]) -> Iterable[GrayImage]:
    """Each frame, then each with a few pixels cut off, `MOST_VIEWS` in all."""
    frames = images[:: -(-len(images) // MOST_VIEWS)]
    count = MOST_VIEWS // len(frames)
    for down, right in SHIFTS_PX[:count]:
        for image in frames:
            yield image[down:, right:]


def _student(tile_shape: tuple[int | None, int | None], width: int) -> Network:
    """Six 3x3 convolutions, four of them of stride 2: gray values to a place's `width` values."""
    source = values = Input((*tile_shape, 1), name="frame")
    steps = ((16, 2), (32, 2), (width, 2), (width, 1), (width, 1), (width, 2))
    for index, (filters, stride) in enumerate(steps, start=1):
        values = layers.Conv2D(filters, 3, strides=stride, padding="same", name=f"student{index}")(
            values
        )
        is_last = index == len(steps)
        values = layers.ReLU(dtype="float32" if is_last else None, name=f"student{index}_relu")(
            values
        )
    return Model(source, values, name="student")
