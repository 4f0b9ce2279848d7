"""Two Gaussians in the plane, and small dense networks that a detector trains on them.

A detector's stages do not care about the shape of an item, so that their losses can be played in
seconds where the real networks take hours.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from semedge.inference.scores import weighted_score
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors.base import Stage, StepContext, TrainableDetector
from semedge_trainer.export.parity import keras_tensors

NORMAL_MEAN = (0.5, -0.3)
DEFECT_MEAN = (-0.4, 0.5)
DEVIATION = 0.1
BATCH = 32
RATE = 2e-3


def some_patches(count: int = 8) -> tf.Tensor:
    """Random patches `(count, 32, 32, 1)`."""
    return tf.random.stateless_uniform((count, 32, 32, 1), [1, 2], -1.0, 1.0)


def points(mean: tuple[float, float], count: int, seed: int) -> NDArray[np.float32]:
    """Points `(count, 2)` of one of the Gaussians."""
    return np.random.default_rng(seed).normal(mean, DEVIATION, (count, 2)).astype(np.float32)


def dense_network(name: str, inputs: int, *units: int, squash: bool = False) -> Network:
    """Dense layers with leaky ReLU between them; `squash` ends in tanh, like a generator."""
    first = keras.Input((inputs,))
    values = first
    for count in units[:-1]:
        values = keras.layers.LeakyReLU(0.2)(keras.layers.Dense(count)(values))
    activation = "tanh" if squash else None
    return keras.Model(first, keras.layers.Dense(units[-1], activation)(values), name=name)


def train_on_points(stage: Stage, networks: dict[str, Network], steps: int) -> dict[str, float]:
    """Train a stage on normal points; gives its last losses."""
    optimizers = {name: keras.optimizers.Adam(RATE, beta_1=0.5) for name in stage.learning_rates}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)

    @tf.function(autograph=False)
    def step(x: tf.Tensor, index: tf.Tensor, progress: tf.Tensor) -> dict[str, tf.Tensor]:
        return stage.step(StepContext(networks, optimizers, Randomness(1, index), progress), x)

    for index in range(steps):
        progress = tf.constant(index / steps)
        losses = step(points(NORMAL_MEAN, BATCH, index), tf.constant(index), progress)
    return {name: float(value) for name, value in losses.items()}


def auroc_on_points(
    detector: TrainableDetector, networks: dict[str, Network], score: str | None = None
) -> float:
    """How well a score, the default one where None, separates the two Gaussians."""
    plan = detector.score_plan()
    plan = plan.chosen(score or plan.default, only=True)
    shown = np.concatenate([points(NORMAL_MEAN, 200, 1001), points(DEFECT_MEAN, 200, 1002)])
    scores = weighted_score(plan.scores[plan.default], keras_tensors(plan, networks, shown))
    return float(roc_auc_score(np.arange(400) >= 200, scores))
