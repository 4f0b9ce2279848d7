"""Trained networks as plain `tf_keras` graphs, ready for TFLite.

A deploy model computes what the trained network computes in inference mode, with fewer kinds of
layers: batch normalization is folded into the layer before it, spectrally normalized kernels come
divided, dropout is gone, and transposed convolutions are convolutions, followed by depth-to-space
where their stride is 2, which every runtime accelerates; those of 2x2 px are dense, since half of
what a convolution would multiply there is zeros. TFMOT accepts no Keras 3 model, hence `tf_keras`;
nothing outside this folder knows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from semedge_trainer.components.blocks import Network
from semedge_trainer.components.spectral import SpectralConv2D, SpectralDense
from semedge_trainer.detectors.base import Networks, ScorePlan
from semedge_trainer.quantization.deconvolution import (
    doubling_kernel,
    flipped_kernel,
    phase_kernel,
)

Array = NDArray[np.float32]

BATCH = 32
"""Patches that a graph takes at once."""


@dataclass(frozen=True)
class LatentScales:
    """What the edge divides a graph's input by, and multiplies its output by; None at patches.

    Attributes
    ----------
    inputs, outputs
        Shape `(features,)`, or None where that end is no latent.
    """

    inputs: Array | None
    outputs: Array | None


NO_SCALES = LatentScales(None, None)


@dataclass(frozen=True)
class DeployModel:
    """A network ready for TFLite; with the scales at its latent ends it computes what it did.

    Attributes
    ----------
    model
        Computes on scaled latents.
    scales
        What its latent input is divided by, and its latent output multiplied by.
    """

    model: tf_keras.Model
    scales: LatentScales = NO_SCALES

    def __call__(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Output for unscaled values."""
        output = self.model(self.scaled(values), training=training)
        return output if self.scales.outputs is None else output * self.scales.outputs

    def scaled(self, values: Any) -> Any:
        """Inputs as the model takes them."""
        return values if self.scales.inputs is None else values / self.scales.inputs


@tf_keras.utils.register_keras_serializable("semedge")
class DepthToSpace(tf_keras.layers.Layer):
    """Channels to pixels: `(n, h, w, 4 c)` to `(n, 2 h, 2 w, c)`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Rearrange."""
        return tf.nn.depth_to_space(inputs, 2)


@dataclass(frozen=True)
class Weights:
    """Kernel and bias of a layer with its batch normalization folded in."""

    kernel: Array
    bias: Array


def to_deploy_model(network: Network, *, batch: int, rewrite: bool = True) -> DeployModel:
    """The deploy model of a network with one input and one output, for a fixed batch.

    Parameters
    ----------
    network
        A trained Keras model.
    batch
        Items that the graph takes at once.
    rewrite
        Whether transposed convolutions become convolutions, of stride 2 with depth-to-space, and
        dense layers where they double 2x2 px.
    """
    norms = {
        layer.name.removesuffix("_bn"): layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    shape = tuple(network.input_shape[1:])
    inputs = tf_keras.Input(shape, batch_size=batch, name="inputs")
    tensors = {id(network.input): inputs}
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        values = [tensors[id(source)] for source in sources]
        output = _copy_layer(layer, norms.get(layer.name), values, rewrite)
        tensors[id(layer.output)] = output
    return DeployModel(tf_keras.Model(inputs, tensors[id(network.output)], name=network.name))


def to_deploy_models(plan: ScorePlan, networks: Networks) -> dict[str, DeployModel]:
    """The deploy model of each network that a score needs, for batches of `BATCH`."""
    return {name: to_deploy_model(networks[name], batch=BATCH) for name in plan.graphs}


def probe(model: tf_keras.Model, layers: Sequence[Any]) -> Callable[[Array], list[Array]]:
    """Runs a model and gives what each of these layers puts out."""
    probing = tf_keras.Model(model.input, [layer.output for layer in layers])

    def run(values: Array) -> list[Array]:
        outputs = probing(values, training=False)
        return [np.asarray(value) for value in (outputs if len(layers) > 1 else [outputs])]

    return run


def _copy_layer(layer: Any, norm: Any, values: list[Any], rewrite: bool) -> Any:
    """The output of the copy of one layer."""
    config = {"name": layer.name, "dtype": "float32"}
    match layer:
        case keras.layers.BatchNormalization() | keras.layers.Dropout():
            return values[0]
        case keras.layers.Conv2DTranspose():
            return _copy_deconvolution(layer, norm, values[0], rewrite)
        case keras.layers.Conv2D():
            new = tf_keras.layers.Conv2D(
                layer.filters, layer.kernel_size, layer.strides, layer.padding, **config
            )
            return _with_weights(new, values[0], _folded(layer, norm, channel_axis=3))
        case keras.layers.DepthwiseConv2D():
            new = tf_keras.layers.DepthwiseConv2D(
                layer.kernel_size, layer.strides, layer.padding, **config
            )
            kernel, bias = layer.get_weights()
            return _with_weights(new, values[0], Weights(kernel, bias))
        case keras.layers.Dense():
            new = tf_keras.layers.Dense(layer.units, **config)
            return _with_weights(new, values[0], _folded(layer, norm, channel_axis=1))
        case keras.layers.LeakyReLU():
            return tf_keras.layers.LeakyReLU(float(layer.negative_slope), **config)(values[0])
        case keras.layers.ReLU():
            return tf_keras.layers.ReLU(layer.max_value, **config)(values[0])
        case keras.layers.Add():
            return tf_keras.layers.Add(**config)(values)
        case keras.layers.Activation():
            return tf_keras.layers.Activation(layer.activation.__name__, **config)(values[0])
        case keras.layers.Reshape():
            return tf_keras.layers.Reshape(layer.target_shape, **config)(values[0])
        case keras.layers.Flatten():
            return tf_keras.layers.Flatten(**config)(values[0])
        case keras.layers.GlobalAveragePooling2D():
            return tf_keras.layers.GlobalAveragePooling2D(**config)(values[0])
        case keras.layers.Concatenate():
            return tf_keras.layers.Concatenate(axis=layer.axis, **config)(values)
    raise NotImplementedError(f"no copy of layer {layer.name} of {type(layer).__name__}")


def _copy_deconvolution(layer: Any, norm: Any, values: Any, rewrite: bool) -> Any:
    weights = _folded(layer, norm, channel_axis=2)
    if not rewrite:
        new = tf_keras.layers.Conv2DTranspose(
            layer.filters,
            layer.kernel_size,
            layer.strides,
            layer.padding,
            name=layer.name,
            dtype="float32",
        )
        return _with_weights(new, values, weights)
    if tuple(layer.strides) == (1, 1):
        kernel = flipped_kernel(weights.kernel)
        new = tf_keras.layers.Conv2D(
            layer.filters, kernel.shape[:2], padding="same", name=layer.name, dtype="float32"
        )
        return _with_weights(new, values, Weights(kernel, weights.bias))
    if tuple(values.shape[1:3]) == (2, 2):
        flat = tf_keras.layers.Flatten(name=f"{layer.name}_flat")(values)
        new = tf_keras.layers.Dense(16 * layer.filters, name=f"{layer.name}_dense", dtype="float32")
        dense = Weights(doubling_kernel(weights.kernel, 2), np.tile(weights.bias, 16))
        pixels = _with_weights(new, flat, dense)
        return tf_keras.layers.Reshape((4, 4, layer.filters), name=f"{layer.name}_pixels")(pixels)
    kernel = phase_kernel(weights.kernel)
    if values.shape[1] == values.shape[2] == 1:
        middle = len(kernel) // 2
        kernel = kernel[middle : middle + 1, middle : middle + 1]
    convolution = tf_keras.layers.Conv2D(
        4 * layer.filters, kernel.shape[:2], padding="same", name=f"{layer.name}_phases"
    )
    phases = _with_weights(convolution, values, Weights(kernel, np.tile(weights.bias, 4)))
    return DepthToSpace(name=f"{layer.name}_pixels")(phases)


def _folded(layer: Any, norm: Any, channel_axis: int) -> Weights:
    """Weights of a layer, divided by its singular value and with its normalization folded in."""
    if isinstance(layer, SpectralConv2D | SpectralDense):
        kernel = np.asarray(layer.divided_kernel(), np.float64)
    else:
        kernel = np.asarray(layer.kernel, np.float64)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(())
    if norm is None:
        filters = kernel.shape[channel_axis]
        return Weights(kernel.astype(np.float32), np.broadcast_to(bias, filters).astype(np.float32))
    gamma, beta, mean, variance = (
        np.asarray(value, np.float64)
        for value in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    shape = [1] * kernel.ndim
    shape[channel_axis] = -1
    folded = kernel * scale.reshape(shape)
    return Weights(folded.astype(np.float32), ((bias - mean) * scale + beta).astype(np.float32))


def _with_weights(layer: Any, values: Any, weights: Weights) -> Any:
    output = layer(values)
    layer.set_weights([weights.kernel, weights.bias])
    return output
