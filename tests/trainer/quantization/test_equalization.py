"""Equalized ranges: a graph computes the same, also where skip connections join channels."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tf_keras
from numpy.typing import NDArray

from semedge_trainer.components import blocks
from semedge_trainer.components.blocks import Network
from semedge_trainer.quantization.deploy_model import DeployModel, to_deploy_model
from semedge_trainer.quantization.equalization import SMALLEST_FACTOR, equalize

Array = NDArray[np.float32]
BATCH = 8


def u_net() -> Network:
    """Table A5's generator with fewer layers and channels."""
    patches = keras.Input((16, 16, 1))
    first = blocks.convolve("conv1", patches, 4, 5, batch_norm=True)
    second = blocks.convolve("conv2", first, 6, 5, batch_norm=True)
    values = blocks.convolve("conv3", second, 8, 5, batch_norm=True)
    values = blocks.deconvolve("deconv1", values, 6, 5)
    values = keras.layers.Concatenate(name="skip1")([second, values])
    values = blocks.deconvolve("deconv2", values, 4, 5)
    values = keras.layers.Concatenate(name="skip2")([first, values])
    return keras.Model(patches, blocks.paint("deconv3", values, 5, 2))


def flattened_join() -> Network:
    """Channels that are joined and then mixed with pixels."""
    patches = keras.Input((16, 16, 1))
    first = blocks.convolve("conv1", patches, 4, 5, batch_norm=True)
    second = blocks.convolve("conv2", patches, 3, 5, batch_norm=True)
    values = keras.layers.Concatenate(name="joined")([first, second])
    return keras.Model(patches, blocks.dense("latent", keras.layers.Flatten()(values), 5))


def joined_twice() -> Network:
    """Channels that lie at another place in each of two joins."""
    patches = keras.Input((16, 16, 1))
    first = blocks.convolve("conv1", patches, 4, 5, batch_norm=True)
    second = blocks.convolve("conv2", patches, 3, 5, batch_norm=True)
    inner = keras.layers.Concatenate(name="inner")([first, second])
    outer = keras.layers.Concatenate(name="outer")([second, inner])
    return keras.Model(patches, blocks.convolve("conv3", outer, 5, 3, batch_norm=False))


def uneven(network: Network) -> Network:
    """The network with channels of very different ranges."""
    random = np.random.default_rng(1)
    for variable in network.weights:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(np.exp(random.normal(0, 1, variable.shape)))
        if variable.name in ("beta", "moving_mean"):
            variable.assign(random.normal(0, 0.3, variable.shape))
    return network


def batches(seed: int = 2) -> list[Array]:
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, (BATCH, 16, 16, 1)).astype(np.float32) for _ in range(3)]


def reaches(deploy_model: DeployModel, name: str) -> Array:
    """Largest magnitude of each channel of a layer's output on the batches."""
    probe = tf_keras.Model(deploy_model.model.input, deploy_model.model.get_layer(name).output)
    outputs = np.concatenate([np.asarray(probe(batch, training=False)) for batch in batches()])
    return np.abs(outputs).max(axis=tuple(range(outputs.ndim - 1)))


@pytest.mark.parametrize("build", [u_net, flattened_join, joined_twice])
def test_an_equalized_graph_computes_the_same(build) -> None:
    deploy_model = to_deploy_model(uneven(build()), batch=BATCH)
    (other, *_) = batches(seed=3)
    before = np.asarray(deploy_model(other, training=False))
    kernels = {
        layer.name: layer.get_weights()[0]
        for layer in deploy_model.model.layers
        if layer.get_weights()
    }
    scales = equalize(deploy_model, batches()).scales
    after = np.asarray(deploy_model(other, training=False))
    assert scales.inputs is None
    if scales.outputs is not None:
        after = after * scales.outputs
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())
    assert any(
        (deploy_model.model.get_layer(name).get_weights()[0] != old).any()
        for name, old in kernels.items()
    )


def test_channels_that_a_skip_joins_reach_equally_far() -> None:
    deploy_model = to_deploy_model(uneven(u_net()), batch=BATCH)
    before = reaches(deploy_model, "conv1_lrelu")
    assert before.max() / before.min() > 2
    equalize(deploy_model, batches())
    for ours, mirror in (("conv1", "deconv2_pixels"), ("conv2", "deconv1_pixels")):
        joined = np.concatenate([reaches(deploy_model, ours), reaches(deploy_model, mirror)])
        assert joined == pytest.approx(joined.max(), rel=1e-3)


def test_a_channel_that_hardly_moves_is_not_blown_up() -> None:
    network = uneven(u_net())
    network.get_layer("conv3_bn").gamma.assign([1.0] * 7 + [1e-6])
    network.get_layer("conv3_bn").beta.assign([0.0] * 8)
    network.get_layer("conv3_bn").moving_mean.assign([0.0] * 8)
    deploy_model = to_deploy_model(network, batch=BATCH)
    before = reaches(deploy_model, "conv3")
    equalize(deploy_model, batches())
    assert reaches(deploy_model, "conv3")[-1] == pytest.approx(
        before[-1] / SMALLEST_FACTOR, rel=1e-3
    )
