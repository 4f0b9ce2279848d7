"""EBGAN and its family: losses against their equations, and scores that tell a toy's defects."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from toy import NORMAL_MEAN, auroc_on_points, dense_network, points, train_on_points

from semedge.core.errors import SemedgeError
from semedge_trainer.components.blocks import LATENT, Network
from semedge_trainer.components.randomness import Randomness
from semedge_trainer.detectors import energy, make_detector, sencebgan
from semedge_trainer.detectors.base import Schedule, Stage, StepContext
from semedge_trainer.quantization.deploy_model import to_deploy_model

Array = NDArray[np.float64]

COUNT = 8
TOY_MARGIN = 2.0
THESIS_SCORES = {
    "ebgan": ("energy", "embedding", "im1"),
    "encebgan": ("im1", "im2", "comb_im", "z1", "z2", "comb_z"),
    "sencebgan": ("im1", "im2", "final_1", "final_2", "final_3", "comb_im", "comb_z"),
    "sencebgan denoiser": ("im1", "denoised", "denoised_l1"),
}
LEFT_TO_THE_DRAW = {"embedding", "im2", "z1", "final_2", "comb_z"}
"""Scores with distances of embeddings: what these make of points unlike the normal ones varies."""


def toy_networks() -> dict[str, Network]:
    keras.utils.set_random_seed(1)
    return {
        "generator": dense_network("generator", LATENT, 32, 2, squash=True),
        "embedding": dense_network("embedding", 2, 32, LATENT),
        "decoder": dense_network("decoder", LATENT, 32, 2, squash=True),
        "encoder": dense_network("encoder", 2, 32, LATENT),
        "reconstruction_encoder": dense_network("reconstruction_encoder", 2, 32, LATENT),
        "denoiser": dense_network("denoiser", 2, 32, 2),
    }


def losses_of(stage: Stage, networks: dict[str, Network]) -> dict[str, float]:
    """Losses of a step at a learning rate of nothing, so that the networks stay what they were."""
    optimizers = {name: keras.optimizers.SGD(0.0) for name in stage.learning_rates}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    context = StepContext(networks, optimizers, Randomness(1, tf.constant(0)), tf.constant(0.0))
    losses = stage.step(context, tf.constant(points(NORMAL_MEAN, COUNT, 0)))
    return {name: float(value) for name, value in losses.items()}


def run(network: Network, values: object) -> Array:
    return np.asarray(network(values, training=False), np.float64)


def norms(difference: Array) -> Array:
    return np.sqrt(np.square(difference).sum(axis=1))


def cosines(embeddings: Array) -> Array:
    """Cosines of all pairs of different embeddings."""
    unit = embeddings / norms(embeddings)[:, None]
    return (unit @ unit.T)[~np.eye(len(unit), dtype=bool)]


@pytest.mark.parametrize("name", ["ebgan", "encebgan", "sencebgan"])
def test_width_narrows_every_convolution(name: str) -> None:
    wide, narrow = (make_detector(name, {"width": width}, "fast").build() for width in ("1", "0.5"))
    for label, network in wide.items():
        assert narrow[label].input_shape == network.input_shape
        assert narrow[label].output_shape == network.output_shape
        assert narrow[label].count_params() < 0.6 * network.count_params()


@pytest.mark.parametrize("width", ["0", "0.1", "2.5", "nan", "-1"])
def test_a_width_that_is_none_is_refused_in_a_sentence(width: str) -> None:
    with pytest.raises(SemedgeError, match=rf"width.* 0\.125 and 2\.0.*{float(width)}"):
        make_detector("sencebgan", {"width": width}, "fast")


@pytest.mark.parametrize("name", ["encebgan", "sencebgan"])
def test_encoders_without_padding_give_the_same_latents_for_less(name: str) -> None:
    padded, bare = (
        make_detector(name, {"encoder_padding": padding}, "fast").build()
        for padding in ("same", "valid")
    )
    for label, network in padded.items():
        assert bare[label].output_shape == network.output_shape
        assert (bare[label].count_params() < network.count_params()) == ("encoder" in label)


def test_a_padding_that_is_none_is_refused_in_a_sentence() -> None:
    with pytest.raises(SemedgeError, match=r"encoder_padding.* same, valid.*'zeros'"):
        make_detector("sencebgan", {"encoder_padding": "zeros"}, "fast")


@pytest.mark.parametrize(
    ("name", "squared", "margin", "matching"),
    [
        ("ebgan", True, 20.0, 0.0),
        ("ebgan", False, 0.1, 0.0),
        ("encebgan", True, 20.0, 0.0),
        ("sencebgan", True, 20.0, 0.1),
    ],
)
def test_the_ebgan_stage_is_equations_3_7_and_3_8(
    monkeypatch: pytest.MonkeyPatch, name: str, squared: bool, margin: float, matching: float
) -> None:
    monkeypatch.setattr(energy, "MARGIN", margin)
    networks = toy_networks()
    detector = make_detector(name, {"pulling_away_squared": str(squared)}, "fast")
    losses = losses_of(detector.stages()[0], networks)

    def judge(values: Array) -> tuple[float, Array]:
        """Energy and embeddings."""
        embedded = run(networks["embedding"], values)
        return norms(run(networks["decoder"], embedded) - values).mean(), embedded

    random = Randomness(1, tf.constant(0))
    first, *others = [
        run(networks["generator"], random.normal((COUNT, LATENT))) for _ in range(1 + 3)
    ]
    real, h_x = judge(points(NORMAL_MEAN, COUNT, 0))
    fake, _ = judge(first)
    assert losses["energy_real"] == pytest.approx(real, rel=1e-4)
    assert losses["energy_fake"] == pytest.approx(fake, rel=1e-4)
    assert 0.1 < fake < 20
    assert losses["discriminator"] == pytest.approx(real + max(0, margin - fake), rel=1e-4)
    last, h_fake = judge(others[-1])
    pulling_away = (cosines(h_fake) ** (2 if squared else 1)).mean()
    assert losses["pulling_away"] == pytest.approx(pulling_away, rel=1e-3)
    expected = last + 0.25 * pulling_away + matching * norms(h_x - h_fake).mean()
    assert losses["generator"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("encebgan", {}),
        ("sencebgan", {"feature_term": "embedding"}),
        ("sencebgan", {"feature_term": "decoded"}),
        ("encebgan", {"encoder_energy": "true"}),
        ("sencebgan", {"encoder_energy": "true"}),
    ],
)
def test_the_encoder_learns_image_and_features(name: str, settings: dict[str, str]) -> None:
    networks = toy_networks()
    losses = losses_of(make_detector(name, settings, "fast").stages()[1], networks)
    x = points(NORMAL_MEAN, COUNT, 0)
    y = run(networks["generator"], run(networks["encoder"], x))
    f_x, f_y = (run(networks["embedding"], values) for values in (x, y))
    if settings.get("feature_term") == "decoded":
        f_x, f_y = (run(networks["decoder"], values) for values in (f_x, f_y))
    image, features = norms(x - y).mean(), norms(f_x - f_y).mean()
    assert losses["image"] == pytest.approx(image, rel=1e-4)
    assert losses["features"] == pytest.approx(features, rel=1e-4)
    missed = 0.0
    if "encoder_energy" in settings:
        decoded = run(networks["decoder"], run(networks["embedding"], y))
        missed = norms(decoded - y).mean()
        assert losses["energy"] == pytest.approx(missed, rel=1e-4)
    assert losses["encoder"] == pytest.approx(image + 0.4 * features + missed, rel=1e-4)


@pytest.mark.parametrize("name", ["ebgan", "encebgan", "sencebgan"])
def test_the_pulling_away_term_can_be_switched_off(name: str) -> None:
    losses = [
        losses_of(make_detector(name, settings, "fast").stages()[0], toy_networks())
        for settings in ({}, {"pulling_away_weight": "0"})
    ]
    with_it, without = (each["generator"] for each in losses)
    assert with_it - without == pytest.approx(0.25 * losses[0]["pulling_away"], rel=1e-3)
    assert losses[1]["pulling_away"] > 0


@pytest.mark.parametrize("weight", ["-1", "nan"])
def test_a_weight_below_0_is_refused_in_a_sentence(weight: str) -> None:
    with pytest.raises(SemedgeError, match=rf"pulling_away_weight.*{float(weight)}"):
        make_detector("ebgan", {"pulling_away_weight": weight}, "fast")


def test_the_denoiser_restores_the_patch_from_its_noisy_reconstruction() -> None:
    networks = toy_networks()
    stage = make_detector("sencebgan", {"denoiser": "true"}, "fast").stages()[2]
    assert set(stage.learning_rates) == {"denoiser"}
    x = points(NORMAL_MEAN, COUNT, 0)
    y = run(networks["generator"], run(networks["encoder"], x))
    noise = Randomness(1, tf.constant(0)).normal((COUNT, 2)).numpy()
    expected = norms(run(networks["denoiser"], y + noise) - x).mean()
    assert losses_of(stage, networks)["denoiser"] == pytest.approx(expected, rel=1e-4)


def test_the_denoiser_is_a_chain_of_20_layers_whose_sides_are_added_to_the_patch() -> None:
    keras.utils.set_random_seed(1)
    network = sencebgan.denoiser()
    kernels = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    chain = [layer for layer in kernels if layer.filters == 63]
    assert len(chain) == 20
    assert len(kernels) == 20 + 21
    assert network.count_params() == 9 * (63 + 19 * 63 * 63 + 1 + 20 * 63) + 20 * 63 + 21
    x = np.random.default_rng(1).uniform(-1, 1, (4, 32, 32, 1)).astype("f4")
    values, correction = x, network.get_layer("side0")(x)
    for index in range(1, 21):
        values = tf.nn.relu(network.get_layer(f"conv{index}")(values))
        correction += network.get_layer(f"side{index}")(values)
    expected = x + correction.numpy()
    np.testing.assert_allclose(network(x, training=False), expected, atol=1e-4)
    deploy_model = to_deploy_model(network, batch=4)
    np.testing.assert_allclose(deploy_model(x), expected, atol=1e-4)


def test_a_denoiser_and_latent_pairs_exclude_each_other() -> None:
    with pytest.raises(SemedgeError, match=r"zz=true.*denoiser=true"):
        make_detector("sencebgan", {"denoiser": "true", "zz": "true"}, "fast")


@pytest.mark.parametrize(
    ("name", "epochs", "encoder_rates"),
    [
        ("ebgan", {"ebgan": 100}, {}),
        ("encebgan", {"ebgan": 101, "encoder": 300}, {"encoder": 5e-5}),
    ],
)
def test_the_schedules_of_the_appendix_and_of_the_author(
    name: str, epochs: dict[str, int], encoder_rates: dict[str, float]
) -> None:
    rates = {"generator": 1e-5, "embedding": 5e-6, "decoder": 5e-6} | encoder_rates
    for schedule, of_it in (("appendix", dict.fromkeys(epochs, 50)), ("author", epochs)):
        steps = {stage: count * 800 for stage, count in of_it.items()}
        assert make_detector(name, {}, schedule).schedule == Schedule(steps, rates, batch=64)


def test_encebgan_has_the_six_scores_of_the_thesis() -> None:
    plan = make_detector("encebgan", {}, "fast").score_plan()
    inputs = {node.output: (node.graph, node.inputs) for node in plan.nodes}
    assert inputs == {
        "z": ("encoder", ("x",)),
        "y": ("generator", ("z",)),
        "h_x": ("embedding", ("x",)),
        "h_y": ("embedding", ("y",)),
        "d_x": ("decoder", ("h_x",)),
        "d_y": ("decoder", ("h_y",)),
    }
    assert {name: plan.scores[name] for name in THESIS_SCORES["encebgan"]} == {
        "im1": {"im1": 1.0},
        "im2": {"im2": 1.0},
        "comb_im": {"im1": 0.55, "im2": 0.45},
        "z1": {"final_2": 1.0},
        "z2": {"final_3": 1.0},
        "comb_z": {"final_2": 0.55, "final_3": 0.45},
    }


@pytest.mark.parametrize("name", THESIS_SCORES)
def test_two_gaussians_come_apart(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(energy, "MARGIN", TOY_MARGIN)
    networks = toy_networks()
    detector = make_detector(name.split()[0], dict.fromkeys(name.split()[1:], "true"), "fast")
    for stage in detector.stages():
        losses = train_on_points(stage, networks, steps=300)
        assert all(np.isfinite(value) for value in losses.values())
    aurocs = {score: auroc_on_points(detector, networks, score) for score in THESIS_SCORES[name]}
    assert all(aurocs[score] > 0.9 for score in aurocs.keys() - LEFT_TO_THE_DRAW), aurocs
