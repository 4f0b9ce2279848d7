"""Networks against appendix A, spectral normalization against an SVD, twins against networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from semedge_trainer import networks as blocks
from semedge_trainer.detectors import ganomaly, skip_ganomaly
from semedge_trainer.networks import Network
from semedge_trainer.spectral import iterate_spectral_vectors, spectral_layers
from semedge_trainer.twin import flipped_kernel, make_twin, phase_kernel

BUILDERS: dict[str, Callable[[], Network]] = {
    "encoder": lambda: blocks.encoder("encoder"),
    "generator": blocks.generator_ebgan,
    "embedding": blocks.embedding,
    "decoder": blocks.decoder,
    "generator_anogan": blocks.generator_anogan,
    "features_anogan": blocks.features_anogan,
    "features_xx": blocks.features_pair_images,
    "features_zz": blocks.features_pair_latents,
    "features_skip": lambda: blocks.features_anogan(kernel_px=5),
    "decoder_ganomaly": ganomaly.decoder,
    "generator_skip": skip_ganomaly.generator,
}
SHAPES = {
    "encoder": [(16, 16, 64), (8, 8, 128), (4, 4, 256), (256,)],
    "generator": [(1024,), (4, 4, 128), (8, 8, 64), (16, 16, 32), (32, 32, 1)],
    "embedding": [(16, 16, 32), (8, 8, 64), (4, 4, 128), (256,)],
    "decoder": [(2, 2, 256), (4, 4, 128), (8, 8, 64), (16, 16, 32), (32, 32, 1)],
    "generator_anogan": [(8192,), (8, 8, 512), (16, 16, 256), (32, 32, 128), (32, 32, 1)],
    "features_anogan": [(16, 16, 64), (8, 8, 128), (4, 4, 256)],
    "features_xx": [(16, 16, 64), (8, 8, 128)],
    "features_zz": [(64,), (32,)],
    "features_skip": [(16, 16, 64), (8, 8, 128), (4, 4, 256)],
    "decoder_ganomaly": [
        (2, 2, 256),
        (4, 4, 128),
        (8, 8, 64),
        (16, 16, 32),
        (32, 32, 16),
        (32, 32, 1),
    ],
    "generator_skip": [
        (16, 16, 64),
        (8, 8, 128),
        (4, 4, 256),
        (2, 2, 512),
        (1, 1, 512),
        (2, 2, 512),
        (4, 4, 256),
        (8, 8, 128),
        (16, 16, 64),
        (32, 32, 1),
    ],
}
NORMALIZED = {
    "encoder": ["conv2", "conv3"],
    "generator": ["dense", "deconv1", "deconv2", "deconv3"],
    "embedding": ["conv1", "conv2", "conv3"],
    "decoder": ["deconv1", "deconv2", "deconv3", "deconv4"],
    "generator_anogan": ["dense", "deconv1", "deconv2", "deconv3"],
    "features_anogan": ["conv1", "conv2", "conv3"],
    "features_xx": [],
    "features_zz": [],
    "features_skip": ["conv1", "conv2", "conv3"],
    "decoder_ganomaly": [f"deconv{index}" for index in range(1, 6)],
    "generator_skip": [
        *(f"conv{index}" for index in range(1, 6)),
        *(f"deconv{index}" for index in range(1, 5)),
    ],
}
KERNELS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
)


def stirred(name: str) -> Network:
    """A network whose normalization statistics are not the initial ones."""
    keras.utils.set_random_seed(4)
    network = BUILDERS[name]()
    random = np.random.default_rng(5)
    for variable in network.weights:
        if variable.name in ("moving_mean", "beta"):
            variable.assign(random.normal(0, 0.1, variable.shape))
        if variable.name in ("moving_variance", "gamma"):
            variable.assign(random.uniform(0.5, 2, variable.shape))
    return network


def items(network: Network, count: int = 4) -> np.ndarray:
    return np.random.default_rng(6).normal(size=(count, *network.input_shape[1:])).astype("f4")


@pytest.mark.parametrize("name", BUILDERS)
def test_layers_are_those_of_appendix_a(name: str) -> None:
    network = BUILDERS[name]()
    with_kernels = [layer for layer in network.layers if isinstance(layer, KERNELS)]
    assert [tuple(layer.output.shape[1:]) for layer in with_kernels] == SHAPES[name]
    norms = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert [layer.name for layer in norms] == [f"{layer}_bn" for layer in NORMALIZED[name]]
    assert all(layer.momentum == 0.8 for layer in norms)


def test_encoder_has_the_parameters_of_table_a7() -> None:
    kernels = 25 * 64 + 25 * 64 * 128 + 25 * 128 * 256 + 4096 * 256
    assert blocks.encoder("encoder").count_params() == kernels + 64 + 4 * (128 + 256) + 256


def test_decoder_has_the_parameters_of_table_a4() -> None:
    channels = [256, 256, 128, 64, 32, 16]
    kernels = 16 * (sum(a * b for a, b in itertools.pairwise(channels)) + 16)
    assert ganomaly.decoder().count_params() == kernels + 4 * sum(channels[1:]) + 1


def test_skip_generator_has_the_parameters_of_table_a5() -> None:
    down = [1, 64, 128, 256, 512, 512]
    joined = [512, 1024, 512, 256, 128]
    up = [512, 256, 128, 64, 1]
    kernels = sum(a * b for a, b in itertools.pairwise(down))
    kernels += sum(a * b for a, b in zip(joined, up, strict=True))
    norms = sum(down[1:]) + sum(up[:-1])
    assert skip_ganomaly.generator().count_params() == 25 * kernels + 4 * norms + 1


def test_skip_generator_joins_each_layer_to_its_mirror() -> None:
    network = skip_ganomaly.generator()
    for index in range(1, 5):
        sources = network.get_layer(f"skip{index}").input
        assert sources[0] is network.get_layer(f"conv{5 - index}_lrelu").output
        assert sources[1] is network.get_layer(f"deconv{index}_lrelu").output


@pytest.mark.parametrize("name", ["embedding", "features_xx"])
def test_spectral_norm_is_the_largest_singular_value(name: str) -> None:
    network = BUILDERS[name]()
    for _ in range(100):
        iterate_spectral_vectors(network)
    assert spectral_layers(network)
    for layer in spectral_layers(network):
        largest = np.linalg.svd(layer.matrix().numpy(), compute_uv=False)[0]
        assert float(layer.sigma()) == pytest.approx(largest, rel=0.02)
        divided = layer.divided_kernel().numpy().reshape(-1, layer.matrix().shape[1])
        assert np.linalg.svd(divided, compute_uv=False)[0] == pytest.approx(1, rel=0.02)


def test_scoring_does_not_move_the_spectral_vector() -> None:
    network = blocks.embedding()
    before = [layer.spectral_u.numpy() for layer in spectral_layers(network)]
    network(items(network), training=False)
    network(items(network), training=True)
    for layer, vector in zip(spectral_layers(network), before, strict=True):
        assert (layer.spectral_u.numpy() == vector).all()


@pytest.mark.parametrize("rewrite", [True, False])
@pytest.mark.parametrize("name", BUILDERS)
def test_twin_computes_what_the_network_computes(name: str, rewrite: bool) -> None:
    network = stirred(name)
    expected = np.asarray(network(items(network), training=False))
    twin = make_twin(network, batch=4, rewrite=rewrite)
    assert np.asarray(twin(items(network), training=False)) == pytest.approx(expected, abs=1e-5)
    kinds = {type(layer).__name__ for layer in twin.layers}
    assert "BatchNormalization" not in kinds
    assert rewrite <= ("DepthToSpace" in kinds or "deconv1" not in NORMALIZED[name])


@pytest.mark.parametrize("kernel_px", [2, 3, 4, 5, 6, 7])
def test_phase_kernel_is_exact_for_every_size(kernel_px: int) -> None:
    random = np.random.default_rng(kernel_px)
    values = random.normal(size=(2, 6, 5, 3)).astype("f4")
    kernel = random.normal(size=(kernel_px, kernel_px, 4, 3)).astype("f4")
    expected = tf.nn.conv2d_transpose(values, kernel, (2, 12, 10, 4), 2)
    phases = tf.nn.conv2d(values, phase_kernel(kernel), 1, "SAME")
    assert tf.nn.depth_to_space(phases, 2).numpy() == pytest.approx(expected.numpy(), abs=1e-4)


@pytest.mark.parametrize("kernel_px", [1, 2, 3, 4, 5, 6])
def test_flipped_kernel_is_exact_for_every_size(kernel_px: int) -> None:
    random = np.random.default_rng(kernel_px)
    values = random.normal(size=(2, 6, 5, 3)).astype("f4")
    kernel = random.normal(size=(kernel_px, kernel_px, 4, 3)).astype("f4")
    expected = tf.nn.conv2d_transpose(values, kernel, (2, 6, 5, 4), 1)
    outputs = tf.nn.conv2d(values, flipped_kernel(kernel), 1, "SAME")
    assert outputs.numpy() == pytest.approx(expected.numpy(), abs=1e-4)
