"""Label flipping and the decay of the instance noise (thesis 4.2.1)."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from toy import NORMAL_MEAN, dense_network, points

from semedge.core.errors import SemedgeError
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.stabilization import Stabilization, instance_noise, labels
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import StepContext

STEPS = 4
COUNT = 4000


def random_at(step: int) -> Randomness:
    return Randomness(3, tf.constant(step))


def flipped(kind: str, progress: float) -> tuple[float, float]:
    """Shares of real and of generated labels that are flipped."""
    switches = Stabilization(label_flipping=kind)
    real, generated = labels(tf.constant(COUNT), switches, random_at(1), tf.constant(progress))
    return float(np.mean(real.numpy() == 0)), float(np.mean(generated.numpy() == 1))


@pytest.mark.parametrize(
    ("kind", "progress", "share"),
    [
        ("none", 0.0, 0.0),
        ("early", 0.0, 0.2),
        ("early", 0.19, 0.2),
        ("early", 0.2, 0.0),
        ("random", 0.0, 0.2),
        ("random", 0.9, 0.2),
        ("swap", 0.0, 1.0),
        ("swap", 0.9, 1.0),
    ],
)
def test_labels_are_flipped_early_at_random_or_for_ever(
    kind: str, progress: float, share: float
) -> None:
    assert flipped(kind, progress) == pytest.approx((share, share), abs=0.02)


@pytest.mark.parametrize("name", ["flipping_probability", "flipping_share"])
@pytest.mark.parametrize("value", ["-0.1", "1.1"])
@pytest.mark.parametrize("detector", ["bigan", "skip-ganomaly", "sencebgan"])
def test_shares_lie_between_0_and_1(name: str, value: str, detector: str) -> None:
    with pytest.raises(SemedgeError, match=rf"{name}.*{value}"):
        make_detector(detector, {name: value}, "fast")


def trained_weights(settings: dict[str, str]) -> dict[str, list[NDArray[np.float32]]]:
    """Weights of AnoGAN's networks, small ones, after a few steps.

    With swapped labels the logit layer starts negated, and is negated again afterwards.
    """
    keras.utils.set_random_seed(1)
    detector = make_detector("anogan", settings, "fast")
    networks = {
        "generator": dense_network("generator", 256, 2, squash=True),
        "features": dense_network("features", 2, 8),
        "logit": dense_network("logit", 8, 1),
    }
    swapped = settings.get("label_flipping") == "swap"
    if swapped:
        networks["logit"].set_weights([-array for array in networks["logit"].get_weights()])
    (stage,) = detector.stages()
    optimizers = {name: keras.optimizers.Adam(1e-2, beta_1=0.5) for name in networks}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    for step in range(STEPS):
        context = StepContext(networks, optimizers, random_at(step), tf.constant(step / STEPS))
        stage.step(context, tf.constant(points(NORMAL_MEAN, 32, step)))
    if swapped:
        networks["logit"].set_weights([-array for array in networks["logit"].get_weights()])
    return {name: network.get_weights() for name, network in networks.items()}


@pytest.mark.parametrize("kind", ["early", "random"])
def test_flipping_labels_alone_changes_the_weights(kind: str) -> None:
    plain, with_flips = trained_weights({}), trained_weights({"label_flipping": kind})
    for name, arrays in plain.items():
        moved = [np.abs(a - b).max() for a, b in zip(arrays, with_flips[name], strict=True)]
        assert max(moved) > 1e-4, name


def test_swapping_labels_for_ever_is_a_renaming() -> None:
    plain, swapped = trained_weights({}), trained_weights({"label_flipping": "swap"})
    for name, arrays in plain.items():
        for array, other in zip(arrays, swapped[name], strict=True):
            np.testing.assert_array_equal(array, other, err_msg=name)


@pytest.mark.parametrize(
    ("progress", "sigma"), [(0.0, 0.75), (0.1, 0.375), (0.198, 0.05), (0.8, 0.05)]
)
def test_instance_noise_decays_with_the_schedule(progress: float, sigma: float) -> None:
    noisy = instance_noise(tf.zeros((64, 32, 32, 1)), tf.constant(progress), random_at(1))
    assert float(tf.math.reduce_std(noisy)) == pytest.approx(sigma, rel=0.02)
