"""Twins to TFLite: float32, float16, int8, and quantization-aware training.

Inputs and outputs stay float32, so that the scores' arithmetic stays float: with the score inside
an int8 graph, hundreds of patches share a hundred distinct scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from semedge.core.stderr import stderr_dropped
from semedge.inference.manifest import Node, Quantization
from semedge_trainer.detectors.base import Networks, ScorePlan
from semedge_trainer.quantization.deploy_model import make_twin
from semedge_trainer.quantization.equalization import NO_SCALES, LatentScales, equalize

BATCH = 32
REPRESENTATIVE_BATCHES = 16
REPRESENTATIVE_PATCHES = BATCH * REPRESENTATIVE_BATCHES

Array = NDArray[np.float32]


def convert(twin: tf_keras.Model, quantization: Quantization, representative: Array) -> bytes:
    """TFLite graph of a twin.

    Parameters
    ----------
    twin
        The model of a twin.
    quantization
        `float32`, `float16` or `int8`.
    representative
        Inputs as the graph will see them, shape `(n, ...)`, n at least the batch; the ranges of
        int8 come from them.
    """
    if quantization == "int8":
        converter = calibration_converter(twin, representative)
    else:
        converter = _converter(twin)
    if quantization == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with stderr_dropped():
        graph: bytes = converter.convert()
    return graph


def calibration_converter(twin: tf_keras.Model, representative: Array) -> tf.lite.TFLiteConverter:
    """A converter to int8 with float32 ends, whose ranges come from representative inputs."""
    batch = twin.inputs[0].shape[0]
    converter = _converter(twin)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [values] for values in representative_batches(representative, batch)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter


def _converter(twin: tf_keras.Model) -> tf.lite.TFLiteConverter:
    signature = tf.TensorSpec(twin.inputs[0].shape, tf.float32)
    function = tf.function(lambda values: twin(values, training=False), autograph=False)
    concrete = function.get_concrete_function(signature)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], twin)


@dataclass(frozen=True)
class Twin:
    """A twin with the scales at its latent ends; as a whole it computes what the network does.

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


def plain_twins(plan: ScorePlan, networks: Networks) -> dict[str, Twin]:
    """Twin of each network that a score needs, batch `BATCH`, for float graphs."""
    return {name: Twin(make_twin(networks[name], batch=BATCH)) for name in plan.graphs}


def even_twins(
    plan: ScorePlan, networks: Networks, tensors: Mapping[str, Array]
) -> dict[str, Twin]:
    """The same twins with the ranges of their channels evened out, for int8 graphs."""
    twins = {}
    for name, twin in plain_twins(plan, networks).items():
        batches = representative_batches(inputs_of(name, plan, tensors), BATCH)
        twins[name] = Twin(twin.model, equalize(twin.model, batches))
    return twins


def scaled_nodes(
    nodes: tuple[Node, ...], twins: Mapping[str, Twin]
) -> tuple[tuple[Node, ...], dict[str, Array]]:
    """The nodes with the scales of their graphs named, and the scales by name."""
    scales: dict[str, Array] = {}
    scaled = []
    for node in nodes:
        found = twins[node.graph].scales
        named = {}
        for end, array in (("input_scale", found.inputs), ("output_scale", found.outputs)):
            if array is not None:
                named[end] = f"{node.graph}_{end}"
                scales[named[end]] = array
        scaled.append(node.model_copy(update=named))
    return tuple(scaled), scales


def inputs_of(graph: str, plan: ScorePlan, tensors: Mapping[str, Array]) -> Array:
    """What a graph sees on the training patches, from all the nodes that run it, interleaved."""
    inputs = [
        np.concatenate([tensors[name] for name in node.inputs], axis=-1)
        for node in plan.nodes
        if node.graph == graph
    ]
    stacked = np.stack(inputs, axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def representative_batches(values: Array, batch: int) -> list[Array]:
    """Whole batches of the first inputs, `REPRESENTATIVE_BATCHES` at most."""
    count = min(len(values) // batch, REPRESENTATIVE_BATCHES)
    return [values[index * batch : (index + 1) * batch] for index in range(count)]
