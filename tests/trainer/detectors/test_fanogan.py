"""f-AnoGAN: its losses against eq. 3.1 to 3.6, the gradient penalty, the toy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import NORMAL_MEAN, auroc_on_points, dense_network, points, train_on_points

from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.components.losses import gradient_penalty, interpolate
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import StepContext, TrainableDetector

VARIANTS = ("izi", "ziz", "izi_f")


def detector_of(variant: str = "izi_f") -> TrainableDetector:
    return make_detector("f-anogan", {"variant": variant}, "fast")


def toy_networks() -> dict[str, Network]:
    keras.utils.set_random_seed(2)
    return {
        "generator": dense_network("generator", LATENT, 16, 2, squash=True),
        "features": dense_network("features", 2, 16, 8),
        "critic": dense_network("critic", 8, 1),
        "encoder": dense_network("encoder", 2, 16, LATENT),
    }


def context_of(networks: dict[str, Network], names: tuple[str, ...]) -> StepContext:
    """A step that moves nothing: its optimizers have the rate 0."""
    optimizers = {name: keras.optimizers.SGD(0.0) for name in names}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    return StepContext(networks, optimizers, Randomness(3, tf.constant(0)), tf.constant(0.0))


def run(network: Network, values: np.ndarray) -> np.ndarray:
    return np.asarray(network(values, training=False), np.float64)


def test_gradient_penalty_is_that_of_finite_differences() -> None:
    keras.utils.set_random_seed(1)
    critic = dense_network("critic", 6, 8, 1)
    at = np.random.default_rng(0).normal(size=(5, 6))
    small = 1e-3
    slopes = []
    for point in at:
        gradient = [
            (run(critic, (point + step)[None]) - run(critic, (point - step)[None])).item()
            / (2 * small)
            for step in small * np.eye(6)
        ]
        slopes.append(np.linalg.norm(gradient))
    penalty = gradient_penalty(lambda values: critic(values), tf.constant(at, tf.float32))
    assert float(penalty) == pytest.approx(np.mean((np.array(slopes) - 1) ** 2), rel=1e-2)


def test_gradient_penalty_of_images_sums_over_all_pixels() -> None:
    slope = np.random.default_rng(1).normal(size=(4, 4, 1)).astype("f4")
    penalty = gradient_penalty(
        lambda images: tf.reduce_sum(images * slope, axis=(1, 2, 3))[:, None],
        tf.zeros((3, 4, 4, 1)),
    )
    assert float(penalty) == pytest.approx((np.linalg.norm(slope) - 1) ** 2, rel=1e-5)


def test_penalized_points_lie_between_their_own_ends() -> None:
    a, b = tf.zeros((64, 2, 2, 1)), tf.ones((64, 2, 2, 1)) * tf.range(64.0)[:, None, None, None]
    between = interpolate(a, b, Randomness(1, tf.constant(0))).numpy()
    shares = between[1:, 0, 0, 0] / np.arange(1, 64)
    assert np.allclose(
        between[1:] / np.arange(1, 64)[:, None, None, None], shares[:, None, None, None]
    )
    assert (shares >= 0).all()
    assert (shares <= 1).all()
    assert shares.std() > 0.2


def test_losses_of_the_gan_are_those_of_wasserstein() -> None:
    networks = toy_networks()
    x = points(NORMAL_MEAN, 8, 0)
    (gan, _) = detector_of().stages()
    losses = gan.step(context_of(networks, tuple(gan.learning_rates)), tf.constant(x))
    random = Randomness(3, tf.constant(0))

    def judge(values: np.ndarray) -> float:
        return run(networks["critic"], run(networks["features"], values)).mean()

    fake = run(networks["generator"], random.normal((8, LATENT)).numpy())
    distance = judge(x) - judge(fake)
    assert float(losses["wasserstein"]) == pytest.approx(distance, rel=1e-4)
    assert float(losses["critic"]) == pytest.approx(
        10 * float(losses["penalty"]) - distance, rel=1e-4
    )
    for _ in range(5):
        random.uniform((8, 1), 0.0, 1.0)
    later = run(networks["generator"], random.normal((8, LATENT)).numpy())
    assert float(losses["generator"]) == pytest.approx(-judge(later), rel=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_of_the_encoder_are_equations_3_1_to_3_3(variant: str) -> None:
    networks = toy_networks()
    x = points(NORMAL_MEAN, 8, 0)
    (_, encoder) = detector_of(variant).stages()
    losses = encoder.step(context_of(networks, ("encoder",)), tf.constant(x))
    y = run(networks["generator"], run(networks["encoder"], x))
    f_x, f_y = run(networks["features"], x), run(networks["features"], y)
    z = Randomness(3, tf.constant(0)).normal((8, LATENT)).numpy()
    found = run(networks["encoder"], run(networks["generator"], z))
    image = np.mean(((x - y) ** 2).sum(axis=1) / 2)
    expected = {
        "izi": image,
        "izi_f": image + np.mean(((f_x - f_y) ** 2).sum(axis=1) / 8),
        "ziz": np.mean(((z - found) ** 2).sum(axis=1) / LATENT),
    }[variant]
    assert float(losses["encoder"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_those_of_the_variant(variant: str) -> None:
    plan = detector_of(variant).score_plan()
    assert plan.default == ("a" if variant == "izi_f" else "a_r")
    assert plan.scores["a"] == {"mean_square_residual": 1.0, "mean_square_features": 1.0}
    assert plan.scores["a_r"] == {"mean_square_residual": 1.0}
    assert plan.scores["a_d"] == {"mean_square_features": 1.0}
    assert plan.chosen("a_r", only=True).graphs == ("encoder", "generator")


def test_the_critic_does_not_mix_patches() -> None:
    networks = detector_of().build()
    kinds = [type(layer) for name in ("features", "critic") for layer in networks[name].layers]
    assert keras.layers.BatchNormalization not in kinds
    assert networks["features"].count_params() == 16 * (64 + 64 * 128 + 128 * 256) + 448


@pytest.fixture(scope="module")
def toy_gan() -> dict[str, Network]:
    """G and D trained on the normal points of the toy."""
    networks = toy_networks()
    losses = train_on_points(detector_of().stages()[0], networks, steps=400)
    assert all(np.isfinite(value) for value in losses.values())
    return networks


def test_the_toy_gan_draws_normal_points(toy_gan: dict[str, Network]) -> None:
    drawn = run(toy_gan["generator"], np.random.default_rng(4).normal(size=(500, LATENT)))
    assert drawn.mean(axis=0) == pytest.approx(NORMAL_MEAN, abs=0.1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_gaussians_come_apart(variant: str, toy_gan: dict[str, Network]) -> None:
    detector = detector_of(variant)
    networks = {**toy_gan, "encoder": toy_networks()["encoder"]}
    train_on_points(detector.stages()[1], networks, steps=100)
    assert auroc_on_points(detector, networks) > 0.95
