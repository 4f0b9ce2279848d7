"""Autoencoders: their loss against eq. 2.31 and its variants, their sizes, the toy."""

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

KERNELS = (keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense)
LATENTS = {"undercomplete": 64, "regularized": 1024, "denoising": 256}


def detector_of(kind: str) -> TrainableDetector:
    return make_detector("autoencoder", {"kind": kind}, "fast")


def toy_networks(latent: int = 1) -> dict[str, Network]:
    keras.utils.set_random_seed(2)
    return {
        "encoder": dense_network("encoder", 2, 16, latent),
        "decoder": dense_network("decoder", latent, 16, 2, squash=True),
        "log_deviation": dense_network("log_deviation", 2, 16, latent),
    }


@pytest.mark.parametrize("kind", LATENTS)
def test_the_loss_is_that_of_the_kind(kind: str) -> None:
    networks = toy_networks(latent=3)
    x = points(NORMAL_MEAN, 8, 0)
    (stage,) = detector_of(kind).stages()
    optimizers = {name: keras.optimizers.SGD(0.0) for name in stage.learning_rates}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    random = Randomness(3, tf.constant(0))
    losses = stage.step(StepContext(networks, optimizers, random, tf.constant(0.0)), tf.constant(x))
    noise = Randomness(3, tf.constant(0)).normal((8, 2)).numpy()
    seen = x + 0.2 * noise if kind == "denoising" else x
    z = np.asarray(networks["encoder"](seen), np.float64)
    y = np.asarray(networks["decoder"](z), np.float64)
    expected = np.square(x - y).sum(axis=1).mean()
    assert float(losses["image"]) == pytest.approx(expected, rel=1e-4)
    if kind == "regularized":
        expected += 0.01 * np.abs(z).sum(axis=1).mean()
    assert float(losses["autoencoder"]) == pytest.approx(expected, rel=1e-4)


def test_the_variational_loss_is_the_negative_evidence_bound() -> None:
    networks = toy_networks(latent=3)
    x = points(NORMAL_MEAN, 8, 0)
    (stage,) = detector_of("variational").stages()
    optimizers = {name: keras.optimizers.SGD(0.0) for name in networks}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    context = StepContext(networks, optimizers, Randomness(3, tf.constant(0)), tf.constant(0.0))
    losses = stage.step(context, tf.constant(x))
    mean, log_deviation = (
        np.asarray(networks[name](x), np.float64) for name in ("encoder", "log_deviation")
    )
    noise = Randomness(3, tf.constant(0)).normal((8, 3)).numpy()
    z = mean + np.exp(log_deviation) * noise
    image = np.square(x - np.asarray(networks["decoder"](z), np.float64)).sum(axis=1).mean()
    each = (mean**2 + np.exp(2 * log_deviation) - 1) / 2 - log_deviation
    assert float(losses["image"]) == pytest.approx(image, rel=1e-4)
    assert float(losses["divergence"]) == pytest.approx(each.sum(axis=1).mean(), rel=1e-4)
    assert float(losses["autoencoder"]) == pytest.approx(image + each.sum(axis=1).mean(), rel=1e-4)
    assert set(stage.learning_rates) == {"encoder", "decoder", "log_deviation"}
    assert detector_of("variational").score_plan().graphs == ("decoder", "encoder")


@pytest.mark.parametrize(("kind", "latent"), LATENTS.items())
def test_layers_are_those_of_table_a6_around_the_latent(kind: str, latent: int) -> None:
    networks = detector_of(kind).build()
    shapes = {
        name: [
            tuple(layer.output.shape[1:]) for layer in network.layers if isinstance(layer, KERNELS)
        ]
        for name, network in networks.items()
    }
    assert shapes == {
        "encoder": [(16, 16, 64), (8, 8, 128), (4, 4, 256), (latent,)],
        "decoder": [(1024,), (4, 4, 128), (8, 8, 64), (16, 16, 32), (32, 32, 1)],
    }
    assert networks["decoder"].input_shape == (None, latent)


@pytest.mark.parametrize("kind", [*LATENTS, "variational"])
def test_two_gaussians_come_apart(kind: str) -> None:
    networks = toy_networks()
    detector = detector_of(kind)
    (stage,) = detector.stages()
    losses = train_on_points(stage, networks, steps=200)
    assert all(np.isfinite(value) for value in losses.values())
    assert auroc_on_points(detector, networks, "residual") > 0.95
