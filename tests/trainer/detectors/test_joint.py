"""BiGAN, ALI and ALAD: losses and pairs against NumPy, with networks of a layer each."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from toy import (
    DEFECT_MEAN,
    NORMAL_MEAN,
    auroc_on_points,
    dense_network,
    points,
    train_on_points,
)

from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import StepContext, TrainableDetector

Array = NDArray[np.float64]

PIXELS, BRANCH_X, BRANCH_Z, JOINT, PAIR = 6, 5, 4, 3, 7
COUNT = 9
SIZES = {
    "generator": (LATENT, PIXELS),
    "encoder": (PIXELS, LATENT),
    "encoder_features": (PIXELS, 8),
    "encoder_mean": (8, LATENT),
    "encoder_log_deviation": (8, LATENT),
    "features_x": (PIXELS, BRANCH_X),
    "features_z": (LATENT, BRANCH_Z),
    "features_xz": (BRANCH_X + BRANCH_Z, JOINT),
    "logit_xz": (JOINT, 1),
    "features_xx": (2 * PIXELS, PAIR),
    "logit_xx": (PAIR, 1),
    "features_zz": (2 * LATENT, PAIR),
    "logit_zz": (PAIR, 1),
}
TOY_SIZES = {
    "generator": (LATENT, 32, 2),
    "encoder": (2, 32, LATENT),
    "encoder_features": (2, 32, 32),
    "encoder_mean": (32, LATENT),
    "encoder_log_deviation": (32, LATENT),
    "features": (2, 32, 32),
    "logit": (32, 1),
    "features_x": (2, 32, 32),
    "features_z": (LATENT, 32),
    "features_xz": (64, 32),
    "logit_xz": (32, 1),
    "features_xx": (4, 32, 32),
    "logit_xx": (32, 1),
    "features_zz": (2 * LATENT, 32),
    "logit_zz": (32, 1),
}
BIGAN_SCORES = (
    "residual_features",
    "residual_features_l2",
    "residual_cross_entropy",
    "residual_l1",
)
TOLD_APART_BY = {
    "bigan": BIGAN_SCORES,
    "ali": BIGAN_SCORES,
    "alad": ("residual_l1", "im1", "features_xx"),
}
CASES = [
    (name, settings)
    for name in ("bigan", "ali", "alad")
    for settings in ({}, {"label_flipping": "swap"})
]


class Small:
    """A detector whose networks are single linear layers, and the same in NumPy."""

    def __init__(self, name: str, settings: Mapping[str, str]) -> None:
        self.detector: TrainableDetector = make_detector(name, settings, "fast")
        (self.stage,) = self.detector.stages()
        random = np.random.default_rng(1)
        self.networks: dict[str, Network] = {}
        for network in self.stage.learning_rates:
            inputs, outputs = SIZES[network]
            values = keras.Input((inputs,))
            self.networks[network] = keras.Model(values, keras.layers.Dense(outputs)(values))
            kernel = random.normal(scale=inputs**-0.5, size=(inputs, outputs))
            self.networks[network].set_weights([kernel, random.normal(scale=0.3, size=outputs)])
        self.x = random.normal(size=(COUNT, PIXELS)).astype(np.float32)
        draws = Randomness(5, tf.constant(0))
        self.z, self.noise = (draws.normal((COUNT, LATENT)).numpy() for _ in range(2))

    def step(self, rates: Mapping[str, float]) -> dict[str, float]:
        """One training step with gradient descent at these rates, elsewhere at none."""
        optimizers = {name: keras.optimizers.SGD(rates.get(name, 0.0)) for name in self.networks}
        for name, optimizer in optimizers.items():
            optimizer.build(self.networks[name].trainable_variables)
        random = Randomness(5, tf.constant(0))
        context = StepContext(self.networks, optimizers, random, tf.constant(0.0))
        losses = self.stage.step(context, tf.constant(self.x))
        return {name: float(value) for name, value in losses.items()}

    def __call__(self, name: str, *parts: Array) -> Array:
        kernel, bias = self.networks[name].get_weights()
        return np.concatenate(parts, axis=1).astype(np.float64) @ kernel + bias

    def encode(self) -> Array:
        if self.detector.name != "ali":
            return self("encoder", self.x)
        features = self("encoder_features", self.x)
        deviation = np.exp(self("encoder_log_deviation", features))
        return self("encoder_mean", features) + deviation * self.noise

    def probability(self, pair: str, a: Array, b: Array) -> Array:
        """D(a, b), the probability that the pair is real."""
        if pair == "xz":
            features = self("features_xz", self("features_x", a), self("features_z", b))
        else:
            features = self(f"features_{pair}", a, b)
        logits = self(f"logit_{pair}", features)
        if self.detector.options.labels_swapped:
            logits = -logits
        return 1 / (1 + np.exp(-logits))


def minus_log(values: Array) -> float:
    return float(-np.log(values).mean())


def differ(new: list[Array], old: list[Array]) -> bool:
    return any((a != b).any() for a, b in zip(new, old, strict=True))


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_losses_are_those_of_equations_2_35_and_2_88_on_matched_pairs(
    name: str, settings: dict[str, str]
) -> None:
    small = Small(name, settings)
    x, z = small.x, small.z
    y, z_x = small("generator", z), small.encode()
    real, generated = small.probability("xz", x, z_x), small.probability("xz", y, z)
    discriminator = "discriminator_xz" if name == "alad" else "discriminator"
    expected = {
        discriminator: minus_log(real) + minus_log(1 - generated),
        "generator": minus_log(generated),
        "encoder": minus_log(1 - real),
    }
    if name == "alad":
        again = {"xx": small("generator", z_x), "zz": small("encoder", y)}
        for pair, item in (("xx", x), ("zz", z)):
            real = small.probability(pair, item, item)
            generated = small.probability(pair, item, again[pair])
            expected[f"discriminator_{pair}"] = minus_log(real) + minus_log(1 - generated)
            expected[f"cycle_{pair}"] = minus_log(generated)
    assert small.step({}) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_both_sides_go_down_their_own_loss(name: str, settings: dict[str, str]) -> None:
    players = {
        network
        for network in Small(name, settings).networks
        if network == "generator" or network.startswith("encoder")
    }
    for side in ("discriminator", "players"):
        small = Small(name, settings)
        moving = players if side == "players" else small.networks.keys() - players
        before = {network: small.networks[network].get_weights() for network in small.networks}
        first = small.step(dict.fromkeys(moving, 1e-3))
        moved = {
            network
            for network, weights in before.items()
            if any(
                (new != old).any()
                for new, old in zip(small.networks[network].get_weights(), weights, strict=True)
            )
        }
        assert moved == moving
        second = small.step({})
        own = [key for key in first if key.startswith("discriminator") == (side == "discriminator")]
        assert sum(second[key] for key in own) < sum(first[key] for key in own)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_fine_tuning_goes_down_for_discriminators_and_up_for_what_makes_pairs(
    name: str, settings: dict[str, str]
) -> None:
    """One gradient of the loss whose value is that of D, with the generator's sign turned."""
    small = Small(name, settings)
    tf.random.set_seed(0)
    networks = {graph: small.networks[graph] for graph in small.detector.score_plan().graphs}
    makers = [graph for graph in networks if graph == "generator" or graph.startswith("encoder")]
    variables = {
        graph: [variable.value for variable in network.trainable_variables]
        for graph, network in networks.items()
    }
    with tf.GradientTape() as tape:
        loss = small.detector.fine_tuning_loss(networks, tf.constant(small.x))
    gradients = tape.gradient(loss, variables)
    for graph, values in variables.items():
        steps = [
            1e-2 * value / tf.linalg.global_norm(gradients[graph]) for value in gradients[graph]
        ]
        for variable, step in zip(values, steps, strict=True):
            variable.assign_sub(step)
        tf.random.set_seed(0)
        moved = small.detector.fine_tuning_loss(networks, tf.constant(small.x))
        for variable, step in zip(values, steps, strict=True):
            variable.assign_add(step)
        assert (float(moved) > float(loss)) == (graph in makers), graph


def test_ali_draws_its_latents_and_scores_with_the_mean() -> None:
    small = Small("ali", {})
    networks = small.networks
    x = tf.constant(small.x)
    first, second = (
        small.detector.encode(networks, x, Randomness(5, tf.constant(step))).numpy()
        for step in (0, 1)
    )
    assert np.abs(first - second).max() > 0.1
    mean = small("encoder_mean", small("encoder_features", small.x))
    assert small.detector.infer(networks, x, training=False).numpy() == pytest.approx(
        mean, abs=1e-5
    )
    expected = small("generator", mean)
    assert small.detector.reconstruct(networks, x).numpy() == pytest.approx(expected, abs=1e-4)
    assert "encoder_log_deviation" not in small.detector.score_plan().graphs


def test_ali_moves_its_deviation_by_the_reparametrised_gradient() -> None:
    small = Small("ali", {})
    before = small.networks["encoder_log_deviation"].get_weights()
    small.step({"encoder_log_deviation": 1e-2})
    assert differ(small.networks["encoder_log_deviation"].get_weights(), before)


@pytest.mark.parametrize("name", ["anogan", "bigan", "ali", "alad"])
def test_scores_tell_two_gaussians_apart_after_a_short_training(name: str) -> None:
    keras.utils.set_random_seed(1)
    detector = make_detector(name, {}, "fast")
    (stage,) = detector.stages()
    networks = {
        network: dense_network(network, *TOY_SIZES[network], squash=network == "generator")
        for network in stage.learning_rates
    }
    train_on_points(stage, networks, steps=300)
    if name == "anogan":
        shown = tf.concat((points(NORMAL_MEAN, 64, 1), points(DEFECT_MEAN, 64, 2)), axis=0)
        for score in detector.searched_scores:
            scores = detector.search(networks, 128, score)(shown, 60, 0).numpy()
            assert roc_auc_score(np.arange(128) >= 64, scores) > 0.95, score
        return
    for score in TOLD_APART_BY[name]:
        assert auroc_on_points(detector, networks, score) > 0.95, score
