"""Networks that predict whitened features of normal frames: students, and decoders of deep ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import keras
import numpy as np
import tensorflow as tf
from keras import Input, Model, layers
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.frame_tiles import cells_of, continued, prepare_frame, tile_values
from semedge.inference.grid import PatchGrid
from semedge_trainer.components.blocks import LEAKY_SLOPE, Network
from semedge_trainer.detectors.texture_gaussian import TextureGaussian, TextureGaussianOptions
from semedge_trainer.evaluation.protocols import Mask

Array = NDArray[np.float32]
Shape = tuple[int | None, int | None]
Draw = Callable[[np.random.Generator], tuple[Array, Array]]

STUDENT_STEPS = (1500, 5000)
DECODER_STEPS = (500, 1500)
LEARNING_RATE = 1e-3
CROPS = 4
CROP_PLACES = 12
DECODER_FILTERS = 64
DEPTHS = ("f5", "f6", "f9")
TILE_PX = (768, 1088)
"""A frame of 1024x700 px as the networks see it."""

SCHEDULE = TextureGaussian.schedules["fast"]
TEACHER = TextureGaussian(TextureGaussianOptions(depths="5+6+9+12"), SCHEDULE)
STRIDE_PX = TEACHER.stride_px
MARGIN = TEACHER.margin_px // STRIDE_PX
"""Places of the continued frame before the first one inside the frame."""


@dataclass(frozen=True)
class Shown:
    """A frame as the networks see it.

    Attributes
    ----------
    values
        Gray values in [-1, 1], the frame continued on every side, `(height, width, 1)`.
    features, whitened
        Of each depth at the places inside the frame, `(rows, columns, channels or directions)`.
    mask
        Of its defects, `(height, width)`.
    """

    values: Array
    features: Mapping[str, Array]
    whitened: Mapping[str, Array]
    mask: Mask

    @property
    def cells(self) -> PatchGrid:
        """Where the cells of the score map lie."""
        height, width = self.mask.shape
        return PatchGrid((height, width), TEACHER.cell_px, TEACHER.cell_px)

    @property
    def unmarked(self) -> Mask:
        """Which places have no pixel of a defect, `(rows, columns)`."""
        rows, columns = self.whitened["f6"].shape[:2]
        marked = self.mask[: rows * STRIDE_PX, : columns * STRIDE_PX]
        return ~marked.reshape(rows, STRIDE_PX, columns, STRIDE_PX).any(axis=(1, 3))

    def smoothed(self, places: Array, detector: TextureGaussian = TEACHER) -> Array:
        """Scores of the cells `(rows, columns)` from those of places, as a detector has them.

        The places end with the frame, without its continuation.
        """
        frame_input = detector.frame_input().model_copy(update={"margin_px": 0})
        return cells_of(np.ascontiguousarray(places, np.float32), self.cells, frame_input)


def show(
    detector: TextureGaussian,
    networks: Mapping[str, Network],
    fitted: Mapping[str, Array],
    image: GrayImage,
    mask: Mask,
) -> Shown:
    """What a detector makes of a frame."""
    prepared = prepare_frame(image, detector.frame_input())
    below, right = (-side % STRIDE_PX for side in prepared.shape)
    features = detector.features(networks, image)
    whitened = {
        name: (values - fitted[f"{name}_mean"]) @ fitted[f"{name}_whitening"]
        for name, values in features.items()
    }
    return Shown(
        tile_values(continued(prepared, (0, below, 0, right)))[0], features, whitened, mask
    )


@dataclass(frozen=True)
class Trial:
    """A network that predicts whitened features.

    Attributes
    ----------
    name
        What it is called.
    depths
        What it predicts.
    scores
        Depths whose errors make up a score, by the score's name.
    build
        Makes the network for inputs of a shape.
    shape
        Of what it sees of a frame of 1024x700 px.
    source
        What it sees of a frame, `(rows, columns, channels)`.
    draw
        Inputs and targets of a step.
    steps
        After how many steps it is tried; the training ends with the last.
    """

    name: str
    depths: tuple[str, ...]
    scores: Mapping[str, tuple[str, ...]]
    build: Callable[[Shape], Network]
    shape: tuple[int, int]
    source: Callable[[Shown], Array]
    draw: Draw
    steps: tuple[int, ...]

    def errors(self, network: Network, frame: Shown) -> dict[str, Array]:
        """Mean squared error of each depth's directions at each place, `(rows, columns)`."""
        target = targets_of(frame, self.depths)[None]
        output = network(self.source(frame)[None], training=False)
        squares = (np.asarray(inner(output, target)) - target)[0] ** 2
        counts = [frame.whitened[depth].shape[-1] for depth in self.depths]
        parts = np.split(squares, np.cumsum(counts)[:-1], axis=-1)
        return {depth: part.mean(-1) for depth, part in zip(self.depths, parts, strict=True)}


def targets_of(frame: Shown, depths: Sequence[str]) -> Array:
    """Whitened features of some depths, one after the other."""
    return np.concatenate([frame.whitened[depth] for depth in depths], axis=-1)


def inner(output: Array, target: Array) -> Array:
    """The places of an output `(n, rows, columns, c)` that a target has."""
    rows, columns = target.shape[1:3]
    first = 0 if output.shape[1] == rows else MARGIN
    return output[:, first : first + rows, first : first + columns]


def build_student(width: int, directions: int, shape: Shape) -> Network:
    """Six 3x3 convolutions, four of them of stride 2, and one of 1x1 to the whitened features."""
    source = values = Input((*shape, 1))
    for filters, stride in ((16, 2), (32, 2), (width, 2), (width, 1), (width, 1), (width, 2)):
        values = layers.Conv2D(filters, 3, strides=stride, padding="same")(values)
        values = layers.LeakyReLU(LEAKY_SLOPE)(values)
    return Model(source, layers.Conv2D(directions, 1)(values))


def build_decoder(bottleneck: int, channels: int, directions: int, shape: Shape) -> Network:
    """A 1x1 convolution to the bottleneck, two of 3x3, and one of 1x1 to the whitened features."""
    source = Input((*shape, channels))
    values = layers.Conv2D(bottleneck, 1)(source)
    for _ in range(2):
        values = layers.Conv2D(DECODER_FILTERS, 3, padding="same")(values)
        values = layers.LeakyReLU(LEAKY_SLOPE)(values)
    return Model(source, layers.Conv2D(directions, 1)(values))


def student(name: str, width: int, normal: Sequence[Shown]) -> Trial:
    """A student of the depths of texture-gaussian, on crops of normal frames."""
    targets = [targets_of(frame, DEPTHS) for frame in normal]
    side_px = (CROP_PLACES + 2 * MARGIN) * STRIDE_PX

    def draw(random: np.random.Generator) -> tuple[Array, Array]:
        values, wanted = [], []
        for index in random.integers(len(normal), size=CROPS):
            rows, columns = (side - CROP_PLACES + 1 for side in targets[index].shape[:2])
            row, column = random.integers(rows), random.integers(columns)
            top, left = row * STRIDE_PX, column * STRIDE_PX
            values.append(normal[index].values[top : top + side_px, left : left + side_px])
            wanted.append(targets[index][row : row + CROP_PLACES, column : column + CROP_PLACES])
        return np.stack(values), np.stack(wanted)

    return Trial(
        name,
        DEPTHS,
        {"6+9": ("f6", "f9"), "5+6+9": DEPTHS},
        lambda shape: build_student(width, targets[0].shape[-1], shape),
        TILE_PX,
        lambda frame: frame.values,
        draw,
        STUDENT_STEPS,
    )


def decoder(deep: str, bottleneck: int, normal: Sequence[Shown]) -> Trial:
    """A decoder of the 5th and 6th block from a deeper one, on whole normal frames."""
    depths = ("f5", "f6")
    targets = [targets_of(frame, depths) for frame in normal]
    places = np.concatenate([np.concatenate(frame.features[deep]) for frame in normal])
    level, deviation = places.mean(axis=0), places.std(axis=0) + 1e-3

    def source(frame: Shown) -> Array:
        return (frame.features[deep] - level) / deviation

    def draw(random: np.random.Generator) -> tuple[Array, Array]:
        index = random.integers(len(normal))
        return source(normal[index])[None], targets[index][None]

    return Trial(
        f"reverse, from {deep[1:]} by {bottleneck} channels",
        depths,
        {"5+6": depths},
        lambda shape: build_decoder(bottleneck, places.shape[1], targets[0].shape[-1], shape),
        (TILE_PX[0] // STRIDE_PX, TILE_PX[1] // STRIDE_PX),
        source,
        draw,
        DECODER_STEPS,
    )


def train(network: Network, trial: Trial, seed: int) -> Iterator[tuple[int, float]]:
    """Descend the mean squared error; gives the trial's steps with processor seconds."""
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(network.trainable_variables)

    @tf.function(autograph=False)
    def take_step(values: tf.Tensor, target: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((inner(network(values, training=True), target) - target) ** 2)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)

    random = np.random.default_rng(seed)
    started_s = time.process_time()
    for step in range(1, trial.steps[-1] + 1):
        take_step(*map(tf.constant, trial.draw(random)))
        if step in trial.steps:
            yield step, time.process_time() - started_s


def use_one_core() -> None:
    """So that times are those of one core; before TensorFlow computes anything."""
    cv2.setNumThreads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def multiply_adds(network: Network) -> int:
    """Of one call of a network of convolutions that takes inputs of one size."""
    return sum(
        int(np.prod(layer.weights[0].shape)) * int(np.prod(layer.output.shape[1:3]))
        for layer in network.layers
        if layer.weights
    )
