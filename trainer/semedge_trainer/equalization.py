"""Even ranges before quantization, without changing what a network computes.

int8 has one range for all channels of an activation. A channel that spans a third of the widest
one gets a third of the steps. Leaky ReLU is positively homogeneous, so channels can be divided by
a factor in the layer before it and multiplied by the same factor in the layer after it (Nagel et
al., "Data-free quantization through weight equalization and bias correction", ICCV 2019); here the
factors come from the ranges that normal patches show. At the latent ends of a graph, where no
layer is left to undo the factor, the edge does so in float.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tf_keras
from numpy.typing import NDArray

Array = NDArray[np.float32]

SMALLEST_FACTOR = 1 / 64
"""A channel that hardly moves is not blown up further than this."""


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


def equalize(twin: tf_keras.Model, batches: Iterable[Array]) -> LatentScales:
    """Even out the channels of a plain twin in place, and its latent ends.

    Parameters
    ----------
    twin
        A chain of layers from `make_twin`.
    batches
        Inputs as the graph will see them, each as long as the twin's batch.
    """
    layers = [layer for layer in twin.layers if layer.get_weights()]
    probe = tf_keras.Model(twin.input, [layer.output for layer in layers])
    largest_input: Array = np.zeros(twin.input_shape[-1], np.float32)
    largest: list[Array] = [np.zeros(layer.output_shape[-1], np.float32) for layer in layers]
    for batch in batches:
        largest_input = np.maximum(largest_input, _largest(batch))
        outputs = probe(batch, training=False)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        largest = [
            np.maximum(before, _largest(np.asarray(now)))
            for before, now in zip(largest, outputs, strict=True)
        ]
    for before, after, reach in zip(layers, layers[1:], largest, strict=False):
        _even_between(before, after, reach)
    return LatentScales(
        inputs=_scale_inputs(layers[0], largest_input) if len(twin.input_shape) == 2 else None,
        outputs=_scale_outputs(layers[-1], largest[-1], twin.output_shape),
    )


def _even_between(
    before: tf_keras.layers.Layer, after: tf_keras.layers.Layer, reach: Array
) -> None:
    """Divide the outputs of one layer, and multiply the inputs of the next.

    What lies between may move channels to pixels or flatten pixels to channels; either way the
    channel of a value is its index modulo the smaller of both counts.
    """
    count = min(len(reach), after.get_weights()[0].shape[-2])
    factors = _factors(reach.reshape(-1, count).max(axis=0))
    _divide(before, np.tile(factors, len(reach) // count))
    _multiply_inputs(after, factors)


def _scale_inputs(layer: tf_keras.layers.Layer, reach: Array) -> Array:
    factors = _factors(reach)
    _multiply_inputs(layer, factors)
    return factors


def _scale_outputs(
    layer: tf_keras.layers.Layer, reach: Array, output_shape: tuple[int, ...]
) -> Array | None:
    if len(output_shape) != 2:
        return None
    factors = _divide(layer, _factors(reach))
    return np.tile(factors, output_shape[-1] // len(factors))


def _divide(layer: tf_keras.layers.Layer, factors: Array) -> Array:
    """Divide the outputs of a layer; gives the factors."""
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel / factors, bias / factors])
    return factors


def _multiply_inputs(layer: tf_keras.layers.Layer, factors: Array) -> None:
    kernel, bias = layer.get_weights()
    inputs = kernel.shape[-2]
    tiled = np.tile(factors, inputs // len(factors))
    layer.set_weights([kernel * tiled[:, None], bias])


def _factors(reach: Array) -> Array:
    """Each channel's reach as a share of the widest."""
    widest = reach.max()
    if widest == 0:
        return np.ones_like(reach)
    return np.maximum(reach / widest, SMALLEST_FACTOR).astype(np.float32)


def _largest(values: Array) -> Array:
    """Largest magnitude of each channel of `(n, ..., channels)`."""
    magnitudes: Array = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
    return magnitudes
