"""Networks against appendix A, spectral norms against singular values, deploy models."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.spectral import iterate_spectral_vectors, spectral_layers
from semedge_trainer.detectors import alad, bigan, ganomaly, make_detector, skip_ganomaly
from semedge_trainer.quantization.deconvolution import doubling_kernel, flipped_kernel, phase_kernel
from semedge_trainer.quantization.deploy_model import probe, to_deploy_model

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
    "encoder_bigan": lambda: blocks.encoder("encoder", bigan.KERNEL_PX),
    "features_z_bigan": bigan.features_latent,
    "features_xz_bigan": bigan.features_joint,
    "generator_alad": lambda: blocks.generator_anogan(last_kernel_px=alad.KERNEL_PX),
    "encoder_alad": alad.encoder,
    "features_x_alad": alad.features_image,
    "features_z_alad": alad.features_latent,
    "features_xz_alad": alad.features_joint,
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
    "encoder_bigan": [(16, 16, 64), (8, 8, 128), (4, 4, 256), (256,)],
    "features_z_bigan": [(512,)],
    "features_xz_bigan": [(1024,)],
    "generator_alad": [(8192,), (8, 8, 512), (16, 16, 256), (32, 32, 128), (32, 32, 1)],
    "encoder_alad": [(16, 16, 32), (8, 8, 64), (4, 4, 128), (2, 2, 256), (1, 1, 256)],
    "features_x_alad": [(16, 16, 128), (8, 8, 256), (4, 4, 512)],
    "features_z_alad": [(512,), (512,)],
    "features_xz_alad": [(1024,), (1024,)],
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
    "encoder_bigan": ["conv2", "conv3"],
    "features_z_bigan": [],
    "features_xz_bigan": [],
    "generator_alad": ["dense", "deconv1", "deconv2", "deconv3"],
    "encoder_alad": ["conv1", "conv2", "conv3", "conv4"],
    "features_x_alad": ["conv1", "conv2", "conv3"],
    "features_z_alad": [],
    "features_xz_alad": [],
}
DROPOUTS = {
    "features_xx": [0.5, 0.5],
    "features_zz": [0.2, 0.2],
    "features_z_bigan": [0.5],
    "features_xz_bigan": [0.5],
    "features_z_alad": [0.2, 0.2],
    "features_xz_alad": [0.2, 0.2],
}
KERNEL_WEIGHTS = {
    "encoder": 25 * 64 + 25 * 64 * 128 + 25 * 128 * 256 + 4096 * 256,
    "encoder_bigan": 16 * 64 + 16 * 64 * 128 + 16 * 128 * 256 + 4096 * 256,
    "generator_anogan": 256 * 8192 + 16 * (512 * 512 + 512 * 256 + 256 * 128) + 25 * 128,
    "features_anogan": 16 * (64 + 64 * 128 + 128 * 256),
    "features_xz_bigan": (4096 + 512) * 1024,
    "generator_alad": 256 * 8192 + 16 * (512 * 512 + 512 * 256 + 256 * 128 + 128),
    "encoder_alad": 16 * (32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 256),
    "features_x_alad": 16 * (128 + 128 * 256 + 256 * 512),
    "features_z_alad": 256 * 512 + 512 * 512,
    "features_xz_alad": (8192 + 512) * 1024 + 1024 * 1024,
    "features_xx": 16 * (2 * 64 + 64 * 128),
    "features_zz": 512 * 64 + 64 * 32,
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
    dropouts = [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropouts == DROPOUTS.get(name, [])


@pytest.mark.parametrize("width", [0.5, 0.25])
@pytest.mark.parametrize("name", ["encoder", "generator", "embedding", "decoder"])
def test_width_multiplies_the_filters_and_leaves_the_ends(name: str, width: float) -> None:
    builders = {
        "encoder": lambda: blocks.encoder("encoder", width=width),
        "generator": lambda: blocks.generator_ebgan(width=width),
        "embedding": lambda: blocks.embedding(width=width),
        "decoder": lambda: blocks.decoder(width=width),
    }
    network = builders[name]()
    shapes = [
        tuple(layer.output.shape[1:]) for layer in network.layers if isinstance(layer, KERNELS)
    ]
    narrow = [(*shape[:-1], int(shape[-1] * width)) for shape in SHAPES[name][:-1]]
    assert shapes == [*narrow, SHAPES[name][-1]]
    assert network.input_shape == BUILDERS[name]().input_shape


def test_an_encoder_without_padding_sees_29_px_and_no_zeros() -> None:
    network = blocks.encoder("encoder", padding="valid")
    kernels = [layer for layer in network.layers if isinstance(layer, KERNELS)]
    shapes = [tuple(layer.output.shape[1:]) for layer in kernels]
    assert shapes == [(14, 14, 64), (5, 5, 128), (1, 1, 256), (256,)]
    patches = items(network)
    latents = np.asarray(network(patches, training=False))
    for far, seen in ((29, False), (28, True)):
        changed = patches.copy()
        changed[:, far:] = changed[:, :, far:] = 0
        again = np.asarray(network(changed, training=False))
        assert (np.abs(again - latents).max() > 0) == seen


@pytest.mark.parametrize(
    ("filters", "width", "expected"), [(64, 1.0, 64), (64, 0.3, 16), (32, 0.125, 8), (32, 0.2, 8)]
)
def test_narrowed_filters_are_a_multiple_of_8(filters: int, width: float, expected: int) -> None:
    assert blocks.narrowed(filters, width) == expected


@pytest.mark.parametrize("name", KERNEL_WEIGHTS)
def test_kernels_are_as_large_as_appendix_a_says(name: str) -> None:
    kernels = [variable for variable in BUILDERS[name]().weights if variable.name == "kernel"]
    assert sum(int(np.prod(kernel.shape)) for kernel in kernels) == KERNEL_WEIGHTS[name]


def test_encoder_has_the_parameters_of_table_a7() -> None:
    expected = KERNEL_WEIGHTS["encoder"] + 64 + 4 * (128 + 256) + 256
    assert blocks.encoder("encoder").count_params() == expected


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


def test_every_layer_of_alads_encoder_and_discriminators_is_spectrally_normalized() -> None:
    networks = make_detector("alad", {}, "fast").build()
    assert spectral_layers(networks.pop("generator")) == []
    for name, network in networks.items():
        with_kernels = [layer for layer in network.layers if isinstance(layer, KERNELS)]
        assert with_kernels == spectral_layers(network), name


def norm_of(matrix: NDArray[np.float32]) -> float:
    """The largest singular value, by the smaller Gram matrix: an SVD takes far longer."""
    wide = matrix.astype(np.float64)
    gram = wide @ wide.T if len(wide) < wide.shape[1] else wide.T @ wide
    return float(np.sqrt(np.linalg.eigvalsh(gram)[-1]))


@pytest.mark.parametrize("name", ["embedding", "features_xx", "encoder_alad"])
def test_spectral_norm_is_the_largest_singular_value(name: str) -> None:
    network = BUILDERS[name]()
    for _ in range(100):
        iterate_spectral_vectors(network)
    assert spectral_layers(network)
    for layer in spectral_layers(network):
        assert float(layer.sigma()) == pytest.approx(norm_of(layer.matrix().numpy()), rel=0.02)
        divided = layer.divided_kernel().numpy().reshape(-1, layer.matrix().shape[1])
        assert norm_of(divided) == pytest.approx(1, rel=0.02)


def test_scoring_does_not_move_the_spectral_vector() -> None:
    network = blocks.embedding()
    before = [layer.spectral_u.numpy() for layer in spectral_layers(network)]
    network(items(network), training=False)
    network(items(network), training=True)
    for layer, vector in zip(spectral_layers(network), before, strict=True):
        assert (layer.spectral_u.numpy() == vector).all()


@pytest.mark.parametrize("rewrite", [True, False])
@pytest.mark.parametrize("name", BUILDERS)
def test_a_deploy_model_computes_what_the_network_computes(name: str, rewrite: bool) -> None:
    network = stirred(name)
    expected = np.asarray(network(items(network), training=False))
    deploy_model = to_deploy_model(network, batch=4, rewrite=rewrite)
    outputs = np.asarray(deploy_model(items(network)))
    assert outputs == pytest.approx(expected, rel=1e-5, abs=1e-5)
    kinds = {type(layer).__name__ for layer in deploy_model.model.layers}
    assert "BatchNormalization" not in kinds
    assert rewrite <= ("DepthToSpace" in kinds or "deconv1" not in NORMALIZED[name])


@pytest.mark.parametrize("count", [1, 2])
def test_probe_gives_what_each_layer_puts_out(count: int) -> None:
    model = to_deploy_model(BUILDERS["features_z_bigan"](), batch=4).model
    layers = model.layers[1 : 1 + count]
    values = items(model)
    outputs = probe(model, layers)(values)
    kernel, bias = layers[0].get_weights()
    linear = values @ kernel + bias
    expected = [linear, np.where(linear > 0, linear, 0.2 * linear)][:count]
    for output, wanted in zip(outputs, expected, strict=True):
        assert output == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("kernel_px", [2, 3, 4, 5, 6, 7])
def test_phase_kernel_is_exact_for_every_size(kernel_px: int) -> None:
    random = np.random.default_rng(kernel_px)
    values = random.normal(size=(2, 6, 5, 3)).astype("f4")
    kernel = random.normal(size=(kernel_px, kernel_px, 4, 3)).astype("f4")
    expected = tf.nn.conv2d_transpose(values, kernel, (2, 12, 10, 4), 2)
    phases = tf.nn.conv2d(values, phase_kernel(kernel), 1, "SAME")
    assert tf.nn.depth_to_space(phases, 2).numpy() == pytest.approx(expected.numpy(), abs=1e-4)


@pytest.mark.parametrize("side_px", [1, 2, 3])
@pytest.mark.parametrize("kernel_px", [2, 3, 4, 5, 6, 7])
def test_doubling_kernel_is_exact_for_every_size(kernel_px: int, side_px: int) -> None:
    random = np.random.default_rng(kernel_px)
    values = random.normal(size=(2, side_px, side_px, 3)).astype("f4")
    kernel = random.normal(size=(kernel_px, kernel_px, 4, 3)).astype("f4")
    expected = tf.nn.conv2d_transpose(values, kernel, (2, 2 * side_px, 2 * side_px, 4), 2)
    outputs = values.reshape(2, -1) @ doubling_kernel(kernel, side_px)
    assert outputs == pytest.approx(expected.numpy().reshape(2, -1), abs=1e-4)


@pytest.mark.parametrize("kernel_px", [1, 2, 3, 4, 5, 6])
def test_flipped_kernel_is_exact_for_every_size(kernel_px: int) -> None:
    random = np.random.default_rng(kernel_px)
    values = random.normal(size=(2, 6, 5, 3)).astype("f4")
    kernel = random.normal(size=(kernel_px, kernel_px, 4, 3)).astype("f4")
    expected = tf.nn.conv2d_transpose(values, kernel, (2, 6, 5, 4), 1)
    outputs = tf.nn.conv2d(values, flipped_kernel(kernel), 1, "SAME")
    assert outputs.numpy() == pytest.approx(expected.numpy(), abs=1e-4)
