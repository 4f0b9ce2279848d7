"""The losses of 0/1 discriminators against NumPy, their signs, and their stabilizations."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from semedge_trainer.components.blocks import Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.stabilization import Stabilization
from semedge_trainer.detectors.adversarial import Discriminator
from semedge_trainer.detectors.base import StepContext

NAMES = ("features", "logit")
PLAIN = Stabilization()
SWAPPED = Stabilization(label_flipping="swap")


def dense_network(inputs: int, units: int, seed: int) -> Network:
    values = keras.Input((inputs,))
    network = keras.Model(values, keras.layers.Dense(units)(values))
    random = np.random.default_rng(seed)
    network.set_weights([random.normal(size=(inputs, units)), random.normal(size=units)])
    return network


@pytest.fixture
def context() -> StepContext:
    """A discriminator of pairs of 2 + 1 values with 4 features."""
    networks = {"features": dense_network(3, 4, 1), "logit": dense_network(4, 1, 2)}
    optimizers = {name: keras.optimizers.SGD(0.01) for name in NAMES}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    return StepContext(networks, optimizers, Randomness(3, tf.constant(0)), tf.constant(0.0))


def pair(seed: int, count: int = 5) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(seed)
    return (
        tf.constant(random.normal(size=(count, 2)), tf.float32),
        tf.constant(random.normal(size=(count, 1)), tf.float32),
    )


def features_by_numpy(context: StepContext, item: tuple[tf.Tensor, ...]) -> np.ndarray:
    kernel, bias = context.networks["features"].get_weights()
    return np.concatenate([part.numpy() for part in item], axis=1) @ kernel + bias


def probability(context: StepContext, item: tuple[tf.Tensor, ...]) -> np.ndarray:
    """D(item)."""
    kernel, bias = context.networks["logit"].get_weights()
    return 1 / (1 + np.exp(-(features_by_numpy(context, item) @ kernel + bias)))


@pytest.mark.parametrize("switches", [PLAIN, SWAPPED])
def test_losses_are_those_of_equation_2_3(context: StepContext, switches: Stabilization) -> None:
    real, generated = pair(4), pair(5)
    discriminator = Discriminator(context, switches, NAMES)
    d_real, d_generated = probability(context, real), probability(context, generated)
    if switches.labels_swapped:
        d_real, d_generated = 1 - d_real, 1 - d_generated
    as_real = float(discriminator.loss_as_real(*generated))
    as_generated = float(discriminator.loss_as_generated(*real))
    loss = float(discriminator.learn(real, generated))
    assert as_real == pytest.approx(-np.log(d_generated).mean(), rel=1e-5)
    assert as_generated == pytest.approx(-np.log(1 - d_real).mean(), rel=1e-5)
    assert loss == pytest.approx(-np.log(d_real).mean() - np.log(1 - d_generated).mean(), rel=1e-5)


@pytest.mark.parametrize("switches", [PLAIN, SWAPPED])
def test_what_it_learns_is_against_the_generator(
    context: StepContext, switches: Stabilization
) -> None:
    real, generated = pair(4), tuple(part + 3.0 for part in pair(5))
    discriminator = Discriminator(context, switches, NAMES)
    before = (discriminator.loss_as_real(*generated), discriminator.loss_as_generated(*real))
    losses = [float(discriminator.learn(real, generated)) for _ in range(10)]
    after = (discriminator.loss_as_real(*generated), discriminator.loss_as_generated(*real))
    assert losses[-1] < losses[0]
    assert float(after[0]) > float(before[0])
    assert float(after[1]) > float(before[1])


def test_soft_labels_are_for_the_discriminator_alone(context: StepContext) -> None:
    real, generated = pair(4), pair(5)
    soft = Discriminator(context, Stabilization(soft_labels=True), NAMES)
    hard = Discriminator(context, PLAIN, NAMES)
    assert float(soft.loss_as_real(*generated)) == float(hard.loss_as_real(*generated))
    hard_loss = -np.log(probability(context, real)).mean()
    hard_loss -= np.log(1 - probability(context, generated)).mean()
    assert float(soft.learn(real, generated)) != pytest.approx(hard_loss, rel=1e-3)


def test_instance_noise_is_on_images_and_on_no_latent(context: StepContext) -> None:
    seen: list[tuple[tf.Tensor, ...]] = []

    def features(*parts: tf.Tensor) -> tf.Tensor:
        seen.append(parts)
        return tf.zeros((4, 4))

    item = (tf.zeros((4, 32, 32, 1)), tf.zeros((4, 6)))
    Discriminator(context, PLAIN, NAMES, features).logits(*item)
    Discriminator(context, Stabilization(instance_noise=True), NAMES, features).logits(*item)
    deviations = [[float(tf.math.reduce_std(part)) for part in parts] for parts in seen]
    assert deviations == [[0, 0], [pytest.approx(0.75, rel=0.05), 0]]


def test_feature_matching_is_equation_2_96(context: StepContext) -> None:
    real, generated = pair(4), pair(5)
    difference = features_by_numpy(context, real) - features_by_numpy(context, generated)
    expected = np.linalg.norm(difference, axis=1).mean()
    discriminator = Discriminator(context, PLAIN, NAMES)
    assert float(discriminator.feature_matching(real, generated)) == pytest.approx(expected, 1e-5)
