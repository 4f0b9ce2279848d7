"""Quantization-aware training: weights that learn while TFMOT rounds as int8 will.

What int8 rounds, and in which ranges, is what `int8.py` does to the graph: everything but the
first layer, in ranges of least error, with a scale for each output of a layer. The output of a
dense last layer is rounded here, and float in the graph. Afterwards the
equalized deploy model moves towards the learned weights, as far as its int8 graph agrees best with
the float network, and is then converted as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from tensorflow_model_optimization.quantization.keras import (
    QuantizeConfig,
    quantize_annotate_layer,
    quantize_apply,
    quantize_scope,
    quantizers,
)

from semedge.core.console import progress
from semedge.inference.manifest import Node
from semedge_trainer.detectors.base import FineTunable, Networks, ScorePlan
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import BATCH, DeployModel, DepthToSpace, probe
from semedge_trainer.quantization.equalization import equalized_deploy_models, scaled_nodes
from semedge_trainer.quantization.ranges import (
    LINEAR,
    TANH,
    Following,
    histograms,
    leaky,
    least_error_range,
)
from semedge_trainer.quantization.representative import inputs_of, representative_batches
from semedge_trainer.quantization.tensors import exported_tensors

FINE_TUNING_STEPS = 150
FINE_TUNING_RATE = 1e-5
"""Rate of the first step; it falls to zero along a cosine, so that the weights settle."""
FINE_TUNING_BATCH = 32
AGREEMENT_WEIGHT = 1e4
SMALLEST_VARIANCE = 1e-6
"""Keeps a tensor that never varies from dividing by zero."""
SHARES = (1.0, 0.5, 0.25, 0.0)
"""Shares of the way to the learned weights that are tried; the best one is taken."""
AGREEMENT_PATCHES = 1024
MOVES = (DepthToSpace, tf_keras.layers.Reshape, tf_keras.layers.Flatten)
"""Layers that compute nothing."""

Array = NDArray[np.float32]


class _Unquantized(QuantizeConfig):
    """Nothing to quantize: the layer moves values and computes none."""

    def get_weights_and_quantizers(self, layer: Any) -> list:
        """No weights."""
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list:
        """No activation."""
        return []

    @tf.autograph.experimental.do_not_convert
    def set_quantize_weights(self, layer: Any, quantize_weights: list) -> None:
        """Nothing to set."""

    @tf.autograph.experimental.do_not_convert
    def set_quantize_activations(self, layer: Any, quantize_activations: list) -> None:
        """Nothing to set."""

    def get_output_quantizers(self, layer: Any) -> list:
        """The output has the input's values."""
        return []

    def get_config(self) -> dict:
        """No parameters."""
        return {}


class _DensePerOutput(_Unquantized):
    """A scale for each output of a dense layer, as TFLite has; TFMOT has one for all."""

    def get_weights_and_quantizers(self, layer: Any) -> list:
        """The kernel, symmetric and without -128."""
        quantizer = quantizers.LastValueQuantizer(
            num_bits=8, per_axis=True, symmetric=True, narrow_range=True
        )
        return [(layer.kernel, quantizer)]

    @tf.autograph.experimental.do_not_convert
    def set_quantize_weights(self, layer: Any, quantize_weights: list) -> None:
        """The kernel."""
        (layer.kernel,) = quantize_weights

    def get_output_quantizers(self, layer: Any) -> list:
        """The output, in a range that moves with it."""
        return [
            quantizers.MovingAverageQuantizer(
                num_bits=8, per_axis=False, symmetric=False, narrow_range=False
            )
        ]


def fine_tuned_deploy_models(
    detector: FineTunable, plan: ScorePlan, networks: Networks, tensors: Mapping[str, Array]
) -> dict[str, DeployModel]:
    """Equalized deploy models, fine-tuned on the detector's own losses while int8 rounds.

    The losses alone do not hold the ranks of the scores while the weights move, so that the
    distance from what the float models compute is added to them; and of the way that the weights
    went, the models go the share after which int8 changes that the least.

    Parameters
    ----------
    detector, networks
        What was trained.
    plan
        Plan of all its scores, because the losses need every network that any score needs.
    tensors
        Outputs of all networks for the training patches `x`; the int8 ranges come from them.
    """
    equalized = equalized_deploy_models(plan, networks, tensors)
    aware = {
        name: DeployModel(
            _aware(deploy_model.model, deploy_model.scaled(inputs_of(name, plan, tensors))),
            deploy_model.scales,
        )
        for name, deploy_model in equalized.items()
    }
    _fine_tune(detector, plan, aware, equalized, tensors["x"])
    _go_where_graphs_agree(plan, equalized, aware, tensors)
    return equalized


def _fine_tune(
    detector: FineTunable,
    plan: ScorePlan,
    aware: Mapping[str, DeployModel],
    equalized: Mapping[str, DeployModel],
    patches: Array,
) -> None:
    variables = [variable for each in aware.values() for variable in each.model.trainable_variables]
    rate = tf_keras.optimizers.schedules.CosineDecay(FINE_TUNING_RATE, FINE_TUNING_STEPS)
    optimizer = tf_keras.optimizers.Adam(rate)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(normal: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = detector.fine_tuning_loss(aware, normal)
            loss += AGREEMENT_WEIGHT * _disagreement(plan.nodes, aware, equalized, normal)
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    random = np.random.default_rng(0)
    for _ in progress(range(FINE_TUNING_STEPS), "quantization-aware training"):
        chosen = random.choice(len(patches), FINE_TUNING_BATCH, replace=False)
        step(tf.constant(patches[chosen]))


def _go_where_graphs_agree(
    plan: ScorePlan,
    equalized: Mapping[str, DeployModel],
    aware: Mapping[str, DeployModel],
    tensors: Mapping[str, Array],
) -> None:
    """Move the weights of equalized models the best of `SHARES` towards their aware copies'."""
    ways = [
        way
        for name, deploy_model in equalized.items()
        for way in _ways(deploy_model.model, aware[name].model)
    ]
    representative = {name: inputs_of(name, plan, tensors) for name in equalized}
    expected = {name: values[-AGREEMENT_PATCHES:] for name, values in tensors.items()}
    nodes, scales = scaled_nodes(plan.nodes, equalized)

    def go(share: float) -> None:
        for variable, start, end in ways:
            variable.assign(start + share * (end - start))

    def error(share: float) -> float:
        go(share)
        graphs = {
            name: convert(deploy_model, "int8", representative[name])
            for name, deploy_model in equalized.items()
        }
        given = exported_tensors(nodes, graphs, scales, expected["x"])
        return sum(
            float(np.square(given[node.output] - expected[node.output]).mean())
            / (float(expected[node.output].var()) + SMALLEST_VARIANCE)
            for node in nodes
        )

    go(min(progress(SHARES, "comparing int8 graphs"), key=error))


def _ways(plain: tf_keras.Model, aware: tf_keras.Model) -> list[tuple[tf.Variable, Array, Array]]:
    """Each kernel and bias of a model, its values, and what its aware copy learned."""
    learned = {
        variable.name.removeprefix("quant_"): variable for variable in aware.trainable_variables
    }
    return [
        (variable, variable.numpy(), learned[variable.name].numpy())
        for variable in plain.trainable_variables
    ]


def _disagreement(
    nodes: tuple[Node, ...],
    aware: Mapping[str, DeployModel],
    equalized: Mapping[str, DeployModel],
    patches: tf.Tensor,
) -> tf.Tensor:
    """Squared error of every tensor of the plan as a share of its variance, summed.

    Each model works on what the models before it give, as the graphs do on the edge.
    """
    given, expected = {"x": patches}, {"x": patches}
    total = tf.zeros(())
    for node in nodes:
        for tensors, models in ((given, aware), (expected, equalized)):
            inputs = tf.concat([tensors[name] for name in node.inputs], axis=-1)
            tensors[node.output] = models[node.graph](inputs, training=models is aware)
        error = tf.square(given[node.output] - expected[node.output])
        variance = tf.math.reduce_variance(expected[node.output])
        total += tf.reduce_mean(error) / (variance + SMALLEST_VARIANCE)
    return total


def _aware(equalized: tf_keras.Model, representative: Array) -> tf_keras.Model:
    """Quantization-aware copy of a model: rounds where int8 does, and a dense output."""
    first = _first_layer(equalized)

    def annotate(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        copy = type(layer).from_config(layer.get_config())
        if layer is first:
            return copy
        match layer:
            case (
                tf_keras.layers.InputLayer() | tf_keras.layers.Reshape() | tf_keras.layers.Flatten()
            ):
                return copy
            case DepthToSpace():
                return quantize_annotate_layer(copy, _Unquantized())
            case tf_keras.layers.Dense():
                return quantize_annotate_layer(copy, _DensePerOutput())
        return quantize_annotate_layer(copy)

    annotated = tf_keras.models.clone_model(equalized, clone_function=annotate)
    annotated.set_weights(equalized.get_weights())
    with quantize_scope(
        {
            "DepthToSpace": DepthToSpace,
            "_Unquantized": _Unquantized,
            "_DensePerOutput": _DensePerOutput,
        }
    ):
        aware = quantize_apply(annotated)
    _set_ranges(aware, equalized, representative)
    return aware


def _set_ranges(aware: tf_keras.Model, plain: tf_keras.Model, representative: Array) -> None:
    """Set each activation range to the one of least error, as the int8 graph has.

    TFMOT starts every range at [-6, 6] and moves it by a thousandth a step, which a short
    fine-tuning would never leave behind.
    """
    layers = [layer for layer in plain.layers[1:] if not isinstance(layer, DepthToSpace)]
    run = probe(plain, layers)
    batches = representative_batches(representative, BATCH)
    found = histograms(lambda: (run(values) for values in batches))
    first = _first_layer(plain)
    ranges: dict[str, tuple[float, float]] = {}
    for layer, histogram in zip(layers, found, strict=True):
        is_leaky = isinstance(layer, tf_keras.layers.LeakyReLU)
        if is_leaky and (before := _before(layer, plain)) is not first:
            ranges[layer.name] = ranges[before.name]
        else:
            ranges[layer.name] = least_error_range(histogram, _after(layer, plain))
    for wrapper in aware.layers:
        name = wrapper.name.removeprefix("quant_")
        if name in ranges:
            _assign_range(wrapper, ranges[name])


def _first_layer(model: tf_keras.Model) -> tf_keras.layers.Layer:
    """The first that computes, which int8 leaves in float."""
    return next(layer for layer in model.layers if layer.weights)


def _before(layer: tf_keras.layers.Layer, model: tf_keras.Model) -> tf_keras.layers.Layer:
    """The layer that computed what one takes, past layers that only move values."""
    (before,) = (other for other in model.layers if other.output is layer.input)
    return _before(before, model) if isinstance(before, MOVES) else before


def _after(layer: tf_keras.layers.Layer, model: tf_keras.Model) -> Following:
    """What the layer after one makes of its output, past layers that only move values."""
    following = [other for other in model.layers if other.input is layer.output]
    match following:
        case [tf_keras.layers.LeakyReLU() as activation]:
            return leaky(float(activation.alpha))
        case [tf_keras.layers.Activation() as activation] if (
            activation.activation.__name__ == "tanh"
        ):
            return TANH
        case [move] if isinstance(move, MOVES):
            return _after(move, model)
    return LINEAR


def _assign_range(wrapper: tf_keras.layers.Layer, ends: tuple[float, float]) -> None:
    for variable in wrapper.weights:
        kind = variable.name.split("/")[-1].split(":")[0]
        if "kernel" not in kind and kind.endswith(("_min", "_max")):
            variable.assign(ends[kind.endswith("_max")])
