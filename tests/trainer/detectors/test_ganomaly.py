"""GANomaly and Skip-GANomaly: their losses against eq. 2.91 to 2.97, and the toy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import NORMAL_MEAN, auroc_on_points, dense_network, points, train_on_points

from semedge_trainer.components.blocks import Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import StepContext, TrainableDetector

NAMES = ("ganomaly", "skip-ganomaly")
CASES = [(name, kind) for name in NAMES for kind in ("features", "labels")]


def detector_of(name: str, **settings: str) -> TrainableDetector:
    return make_detector(name, settings, "fast")


def toy_networks(name: str) -> dict[str, Network]:
    keras.utils.set_random_seed(2)
    networks = {
        "features": dense_network("features", 2, 16, 8),
        "logit": dense_network("logit", 8, 1),
    }
    if name == "skip-ganomaly":
        return networks | {"generator": dense_network("generator", 2, 16, 1, 16, 2, squash=True)}
    return networks | {
        "encoder": dense_network("encoder", 2, 16, 4),
        "generator": dense_network("generator", 4, 16, 2, squash=True),
        "second_encoder": dense_network("second_encoder", 2, 16, 4),
    }


def still_context(detector: TrainableDetector, networks: dict[str, Network]) -> StepContext:
    """A step that moves nothing: its optimizers have the rate 0."""
    (stage,) = detector.stages()
    optimizers = {name: keras.optimizers.SGD(0.0) for name in stage.learning_rates}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    return StepContext(networks, optimizers, Randomness(3, tf.constant(0)), tf.constant(0.0))


def run(network: Network, values: np.ndarray) -> np.ndarray:
    return np.asarray(network(values, training=False), np.float64)


def norms(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).sum(axis=1))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_losses_are_equations_2_91_to_2_96(name: str, kind: str) -> None:
    detector, networks = detector_of(name, adversarial=kind), toy_networks(name)
    x = points(NORMAL_MEAN, 6, 0)
    losses = detector.stages()[0].step(still_context(detector, networks), tf.constant(x))
    y = np.asarray(detector.reconstruct(networks, tf.constant(x)), np.float64)
    f_x, f_y = run(networks["features"], x), run(networks["features"], y)
    d_x, d_y = (1 / (1 + np.exp(-run(networks["logit"], values))) for values in (f_x, f_y))
    if kind == "features":
        adversarial = norms(f_x - f_y.mean(axis=0)).mean()
    else:
        adversarial = -np.log(d_y).mean()
    contextual = np.abs(x - y).sum(axis=1).mean()
    if name == "ganomaly":
        difference = run(networks["encoder"], x) - run(networks["second_encoder"], y)
        encoder = norms(difference).mean()
    else:
        encoder = norms(f_x - f_y).mean()
    expected = {
        "discriminator": -np.log(d_x).mean() - np.log(1 - d_y).mean(),
        "adversarial": adversarial,
        "contextual": contextual,
        "encoder": encoder,
        "generator": adversarial + 50 * contextual + encoder,
    }
    assert {key: float(value) for key, value in losses.items()} == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_equations_2_95_and_2_97(name: str) -> None:
    plan = detector_of(name).score_plan()
    assert plan.default == "a"
    if name == "ganomaly":
        assert plan.scores["a"] == {"latent_l1": 1.0}
        assert plan.chosen("a", only=True).graphs == ("encoder", "generator", "second_encoder")
    else:
        assert plan.scores["a"] == pytest.approx({"residual_l1": 0.9, "features_l2": 0.1})
        assert plan.chosen("a", only=True).graphs == ("features", "generator")
        assert plan.chosen("a_r", only=True).graphs == ("generator",)


def test_the_second_encoder_trains() -> None:
    detector, networks = detector_of("ganomaly"), toy_networks("ganomaly")
    train_on_points(detector.stages()[0], networks, steps=100)
    untrained = toy_networks("ganomaly")["second_encoder"]
    x = points(NORMAL_MEAN, 64, 9)
    z = run(networks["encoder"], x)
    y = run(networks["generator"], z)
    missed = [
        norms(z - run(second, y)).mean() for second in (networks["second_encoder"], untrained)
    ]
    assert missed[0] < 0.3 * missed[1]


def test_ganomaly_can_learn_to_take_noise_off_its_input() -> None:
    detector, networks = detector_of("ganomaly", noisy_input="true"), toy_networks("ganomaly")
    x = points(NORMAL_MEAN, 6, 0)
    losses = detector.stages()[0].step(still_context(detector, networks), tf.constant(x))
    noisy = x + 0.2 * Randomness(3, tf.constant(0)).normal((6, 2)).numpy()
    y = run(networks["generator"], run(networks["encoder"], noisy))
    assert float(losses["contextual"]) == pytest.approx(np.abs(x - y).sum(axis=1).mean(), rel=1e-4)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_two_gaussians_come_apart(name: str, kind: str) -> None:
    detector, networks = detector_of(name, adversarial=kind), toy_networks(name)
    train_on_points(detector.stages()[0], networks, steps=300)
    y = np.asarray(detector.reconstruct(networks, tf.constant(points(NORMAL_MEAN, 200, 7))))
    assert y.mean(axis=0) == pytest.approx(NORMAL_MEAN, abs=0.05)
    assert auroc_on_points(detector, networks) > 0.95


@pytest.mark.parametrize("switch", ["soft_labels=true", "label_flipping=early"])
@pytest.mark.parametrize("name", NAMES)
def test_the_stabilizations_reach_the_discriminator(name: str, switch: str) -> None:
    x = tf.constant(points(NORMAL_MEAN, 6, 0))
    losses = []
    for settings in ({}, dict([switch.split("=")])):
        detector, networks = detector_of(name, **settings), toy_networks(name)
        losses.append(detector.stages()[0].step(still_context(detector, networks), x))
    plain, stabilized = losses
    assert float(stabilized["contextual"]) == pytest.approx(float(plain["contextual"]), rel=1e-6)
    assert float(stabilized["discriminator"]) != pytest.approx(float(plain["discriminator"]), 1e-3)
