"""AnoGAN's search for a latent: its losses, and that it goes down."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import some_patches

from semedge_trainer.components.stabilization import Stabilization
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.anogan import (
    INVERSION_RATE,
    Inversion,
    cross_entropy_term,
    inversion_loss,
)
from semedge_trainer.evaluation.request import EvaluationRequest


def test_inversion_goes_down_and_does_not_depend_on_the_patches_beside() -> None:
    keras.utils.set_random_seed(1)
    networks = make_detector("anogan", {}, "fast").build()
    x = some_patches(4)
    inversion = Inversion(networks, batch=4)
    start = inversion.score(x, steps=0).numpy()
    after = inversion.score(x, steps=8).numpy()
    assert (after < start).all()
    other = tf.concat([x[:1], x[1:] * 0.5], axis=0)
    assert inversion.score(other, steps=8).numpy()[0] == pytest.approx(after[0], rel=1e-3)
    assert inversion.score(x, steps=8).numpy() == pytest.approx(after, rel=1e-3)


def test_inversion_can_take_the_residual_of_4_2_2() -> None:
    networks = make_detector("anogan", {}, "fast").build()
    x, z = some_patches(3), tf.random.stateless_normal((3, 256), [4, 5])
    y = networks["generator"](z, training=False).numpy()
    f_x, f_y = (networks["features"](values, training=False).numpy() for values in (x, y))
    expected = 0.9 * np.linalg.norm((x.numpy() - y).reshape(3, -1), axis=1)
    expected += 0.1 * np.abs(f_x - f_y).sum(axis=1)
    found = inversion_loss(networks, x, z, residual="l2").numpy()
    assert found == pytest.approx(expected, rel=1e-4)
    searched = make_detector("anogan", {"residual": "l2"}, "fast").search(networks, 3, "inversion")
    assert searched(x, 0, 4).shape == (3,)


def test_a_search_is_long_enough_to_move_a_latent_to_its_patch() -> None:
    request = EvaluationRequest(Path("i"), Path("m"), run=Path("run"))
    assert request.search_steps * INVERSION_RATE >= 5.0
    assert request.patches_measured * 0.0626 > 100


@pytest.mark.parametrize("flipping", ["none", "swap"])
def test_inversion_loss_is_equations_2_32_and_2_33_and_its_cross_entropy(flipping: str) -> None:
    networks = make_detector("anogan", {}, "fast").build()
    x, z = some_patches(3), tf.random.stateless_normal((3, 256), [4, 5])
    y = networks["generator"](z, training=False).numpy()
    features = [networks["features"](values, training=False).numpy() for values in (x, y)]
    residual = np.abs(x.numpy() - y).sum(axis=(1, 2, 3))
    expected = 0.9 * residual + 0.1 * np.abs(features[0] - features[1]).sum(axis=1)
    assert inversion_loss(networks, x, z).numpy() == pytest.approx(expected, rel=1e-4)
    logits = networks["logit"](features[1], training=False).numpy()[:, 0]
    probability = 1 / (1 + np.exp(logits if flipping == "swap" else -logits))
    term = partial(cross_entropy_term, Stabilization(label_flipping=flipping))
    assert inversion_loss(networks, x, z, term).numpy() == pytest.approx(
        0.9 * residual - 0.1 * np.log(probability), rel=1e-4
    )
