"""Each loss against a NumPy evaluation of its equation on small arrays."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from semedge_trainer.components.losses import binary_cross_entropy, mean_norm
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.components.stabilization import (
    Stabilization,
    labels,
    pulling_away,
)

START = tf.constant(0.0)


def random_at(step: int = 0, replica: int = 0) -> Randomness:
    return Randomness(7, tf.constant(step), replica)


def test_mean_norm_is_the_mean_of_unsquared_norms() -> None:
    difference = np.array([[[3.0], [4.0]], [[0.0], [2.0]]], np.float32)
    assert float(mean_norm(tf.constant(difference))) == pytest.approx((5.0 + 2.0) / 2)


def test_mean_norm_has_a_finite_gradient_at_zero() -> None:
    values = tf.Variable(tf.zeros((2, 3)))
    with tf.GradientTape() as tape:
        loss = mean_norm(values)
    assert np.isfinite(tape.gradient(loss, values).numpy()).all()


def test_binary_cross_entropy() -> None:
    truth = np.array([[1.0], [0.0], [0.9]])
    logits = np.array([[2.0], [-1.0], [0.5]])
    probability = 1 / (1 + np.exp(-logits))
    expected = -np.mean(truth * np.log(probability) + (1 - truth) * np.log(1 - probability))
    value = binary_cross_entropy(tf.constant(truth, tf.float32), tf.constant(logits, tf.float32))
    assert float(value) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("squared", [True, False])
def test_pulling_away_is_equation_3_8(squared: bool) -> None:
    embeddings = np.random.default_rng(0).normal(size=(5, 4))
    total = 0.0
    for i in range(5):
        for j in range(5):
            if i != j:
                a, b = embeddings[i], embeddings[j]
                cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
                total += cosine**2 if squared else cosine
    value = pulling_away(tf.constant(embeddings, tf.float32), squared=squared)
    assert float(value) == pytest.approx(total / 20, rel=1e-5)


def test_hard_labels() -> None:
    real, generated = labels(tf.constant(3), Stabilization(), random_at(), START)
    assert real.numpy().ravel().tolist() == [1, 1, 1]
    assert generated.numpy().ravel().tolist() == [0, 0, 0]


def test_soft_labels_are_soft_and_some_inverted() -> None:
    real, generated = labels(tf.constant(4000), Stabilization(soft_labels=True), random_at(), START)
    for values, low in ((real.numpy(), 0.9), (1 - generated.numpy(), 0.9)):
        kept = values >= low
        assert (kept | (values <= 0.1 + 1e-6)).all()
        assert 0.03 < 1 - kept.mean() < 0.07


def test_draws_depend_on_seed_step_and_replica_alone() -> None:
    first = random_at(4).normal((3,)).numpy()
    assert (random_at(4).normal((3,)).numpy() == first).all()
    assert (random_at(5).normal((3,)).numpy() != first).all()
    assert (random_at(4, replica=1).normal((3,)).numpy() != first).all()
