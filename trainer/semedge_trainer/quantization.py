"""Twins to TFLite: float32, float16, int8 after training, and quantization-aware training.

Inputs and outputs stay float32, so that the scores' arithmetic stays float: with the score inside
an int8 graph, hundreds of patches share a hundred distinct scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from numpy.typing import NDArray

from semedge.console import progress
from semedge.manifest import Node, Quantization
from semedge_trainer.detectors.base import Networks, ScorePlan, TrainableDetector
from semedge_trainer.equalization import NO_SCALES, LatentScales, equalize
from semedge_trainer.networks import Network
from semedge_trainer.silence import stderr_closed
from semedge_trainer.twin import DepthToSpace, make_twin, probe

BATCH = 32
REPRESENTATIVE_BATCHES = 16
FINE_TUNING_STEPS = 150
FINE_TUNING_RATE = 1e-5
FINE_TUNING_BATCH = 32
AGREEMENT_WEIGHT = 1e4
SMALLEST_VARIANCE = 1e-6
"""Keeps a tensor that never varies from dividing by zero."""

Array = NDArray[np.float32]


class _Unquantized(tfmot.quantization.keras.QuantizeConfig):
    """Depth-to-space moves values and computes none: nothing to quantize."""

    def get_weights_and_quantizers(self, layer: object) -> list:
        """No weights."""
        return []

    def get_activations_and_quantizers(self, layer: object) -> list:
        """No activation."""
        return []

    @tf.autograph.experimental.do_not_convert
    def set_quantize_weights(self, layer: object, quantize_weights: list) -> None:
        """Nothing to set."""

    @tf.autograph.experimental.do_not_convert
    def set_quantize_activations(self, layer: object, quantize_activations: list) -> None:
        """Nothing to set."""

    def get_output_quantizers(self, layer: object) -> list:
        """The output has the input's values."""
        return []

    def get_config(self) -> dict:
        """No parameters."""
        return {}


def convert(twin: tf_keras.Model, quantization: Quantization, representative: Array) -> bytes:
    """TFLite graph of a twin.

    Parameters
    ----------
    twin
        The model of a twin; a quantization-aware one where `quantization` is `qat`.
    quantization
        What the graph computes in.
    representative
        Inputs as the graph will see them, shape `(n, ...)`, n at least the batch; the ranges of
        int8 come from them.
    """
    batch = twin.inputs[0].shape[0]
    signature = tf.TensorSpec(twin.inputs[0].shape, tf.float32)
    function = tf.function(lambda values: twin(values, training=False), autograph=False)
    concrete = function.get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], twin)
    if quantization != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization == "int8":
        converter.representative_dataset = lambda: _batches(representative, batch)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with stderr_closed():
        graph: bytes = converter.convert()
    return graph


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
        batches = (values for (values,) in _batches(inputs_of(name, plan, tensors), BATCH))
        twins[name] = Twin(twin.model, equalize(twin.model, batches))
    return twins


def quantization_aware_twins(
    detector: TrainableDetector, networks: Networks, tensors: Mapping[str, Array]
) -> dict[str, Twin]:
    """Even twins that know their int8 ranges, fine-tuned on the detector's own losses.

    The losses alone do not hold the ranks of the scores while the weights move, so that the
    distance from what the float twins compute is added to them.

    Parameters
    ----------
    detector, networks
        What was trained; the losses need every network that any score needs.
    tensors
        What all of them make of the training patches `x`; the first int8 ranges come from it.
    """
    plan = detector.score_plan()
    even = even_twins(plan, networks, tensors)
    aware = {
        name: Twin(
            _annotated(networks[name], twin.model, twin.scaled(inputs_of(name, plan, tensors))),
            twin.scales,
        )
        for name, twin in even.items()
    }
    _fine_tune(detector, aware, tensors)
    return aware


def _fine_tune(
    detector: TrainableDetector, aware: Mapping[str, Twin], tensors: Mapping[str, Array]
) -> None:
    variables = [variable for twin in aware.values() for variable in twin.model.trainable_variables]
    optimizer = tf_keras.optimizers.Adam(FINE_TUNING_RATE)
    optimizer.build(variables)
    nodes = detector.score_plan().nodes

    @tf.function(autograph=False)
    def step(expected: Mapping[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = detector.fine_tuning_loss(aware, expected["x"])
            loss += AGREEMENT_WEIGHT * _disagreement(nodes, aware, expected)
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    random = np.random.default_rng(0)
    for _ in progress(range(FINE_TUNING_STEPS), "quantization-aware training"):
        chosen = random.choice(len(tensors["x"]), FINE_TUNING_BATCH, replace=False)
        step({name: tf.constant(values[chosen]) for name, values in tensors.items()})


def _disagreement(
    nodes: tuple[Node, ...], aware: Mapping[str, Twin], expected: Mapping[str, tf.Tensor]
) -> tf.Tensor:
    """Squared error of every tensor of the plan as a share of its variance, summed.

    Each twin works on what the twins before it give, as the graphs do on the edge.
    """
    given = {"x": expected["x"]}
    total = tf.zeros(())
    for node in nodes:
        inputs = [given[name] for name in node.inputs]
        given[node.output] = aware[node.graph](tf.concat(inputs, axis=-1), training=True)
        error = tf.square(given[node.output] - expected[node.output])
        variance = tf.math.reduce_variance(expected[node.output])
        total += tf.reduce_mean(error) / (variance + SMALLEST_VARIANCE)
    return total


def inputs_of(graph: str, plan: ScorePlan, tensors: Mapping[str, Array]) -> Array:
    """What a graph sees on the training patches, from all the nodes that run it, interleaved."""
    inputs = [
        np.concatenate([tensors[name] for name in node.inputs], axis=-1)
        for node in plan.nodes
        if node.graph == graph
    ]
    stacked = np.stack(inputs, axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def _annotated(network: Network, even: tf_keras.Model, representative: Array) -> tf_keras.Model:
    """Quantization-aware copy of an even twin; its ranges start from what the twin shows."""
    keras_quantization = tfmot.quantization.keras

    def annotate(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        return keras_quantization.quantize_annotate_layer(layer, _Unquantized())

    twin = make_twin(network, batch=BATCH, wrap_depth_to_space=annotate)
    twin.set_weights(even.get_weights())
    with keras_quantization.quantize_scope(
        {"DepthToSpace": DepthToSpace, "_Unquantized": _Unquantized}
    ):
        aware = keras_quantization.quantize_apply(keras_quantization.quantize_annotate_model(twin))
    _set_ranges(aware, even, representative)
    return aware


def _set_ranges(aware: tf_keras.Model, plain: tf_keras.Model, representative: Array) -> None:
    """Set each activation range to the smallest and largest value of the plain layer.

    TFMOT starts every range at [-6, 6] and moves it by a thousandth a step, which a short
    fine-tuning would never leave behind.
    """
    layers = [layer for layer in plain.layers[1:] if not isinstance(layer, DepthToSpace)]
    run = probe(plain, layers)
    ranges = {"quantize_layer": (float(representative.min()), float(representative.max()))}
    for (values,) in _batches(representative, BATCH):
        for layer, output in zip(layers, run(values), strict=True):
            low, high = ranges.get(f"quant_{layer.name}", (0.0, 0.0))
            ranges[f"quant_{layer.name}"] = (
                min(low, float(output.min())),
                max(high, float(output.max())),
            )
    for wrapper in aware.layers:
        if wrapper.name not in ranges:
            continue
        for variable in wrapper.weights:
            kind = variable.name.split("/")[-1].split(":")[0]
            if "kernel" not in kind and kind.endswith(("_min", "_max")):
                variable.assign(ranges[wrapper.name][kind.endswith("_max")])


def _batches(values: Array, batch: int) -> Iterator[list[Array]]:
    count = min(len(values) // batch, REPRESENTATIVE_BATCHES)
    for index in range(count):
        yield [values[index * batch : (index + 1) * batch]]
