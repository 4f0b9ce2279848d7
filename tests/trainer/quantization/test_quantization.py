"""Deploy models, conversions and quantization-aware training of a trained network."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from trained import Trained

from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Quantization
from semedge_trainer.quantization import quantization_aware
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import (
    BATCH,
    DeployModel,
    DepthToSpace,
    probe,
    to_deploy_model,
)
from semedge_trainer.quantization.equalization import equalized_deploy_models
from semedge_trainer.quantization.int8 import CalibratedGraph, hold_weights_in_int8
from semedge_trainer.quantization.quantization_aware import (
    _disagreement,
    _go_where_graphs_agree,
    fine_tuned_deploy_models,
)
from semedge_trainer.quantization.ranges import (
    LINEAR,
    Histogram,
    histograms,
    leaky,
    least_error_range,
    rounded,
)
from semedge_trainer.quantization.tflite import calibrating_converter

Array = NDArray[np.float32]

NAMES = ("encoder", "generator")
AGREEMENT_PATCHES = 128
"""Enough to see which weights agree; fewer than users wait for."""
LARGEST_ERROR = {"float32": 1e-5, "float16": 1e-3, "int8": 0.1}
"""Norm of the error as a share of the norm of what the network computes."""


@pytest.mark.parametrize("rewrite", [True, False])
def test_deploy_models_of_trained_networks_compute_the_same(
    trained: Trained, rewrite: bool
) -> None:
    for name in trained.plan.graphs:
        deploy_model = to_deploy_model(trained.networks[name], batch=BATCH, rewrite=rewrite)
        inputs = trained.inputs(name)[:BATCH]
        expected = trained.outputs(name, BATCH)
        np.testing.assert_allclose(
            np.asarray(deploy_model(inputs, training=False)), expected, atol=1e-5, err_msg=name
        )
        kinds = [type(layer) for layer in deploy_model.model.layers]
        assert tf_keras.layers.BatchNormalization not in kinds
        assert (DepthToSpace in kinds) == (rewrite and name in ("generator", "decoder"))


def test_equalized_deploy_models_compute_the_same(trained: Trained) -> None:
    for name, deploy_model in trained.equalized.items():
        outputs = np.asarray(deploy_model(trained.inputs(name)[:BATCH], training=False))
        expected = trained.outputs(name, BATCH)
        largest = np.abs(expected).max()
        np.testing.assert_allclose(outputs, expected, atol=1e-4 * largest, err_msg=name)
        ends = (deploy_model.model.input_shape, deploy_model.model.output_shape)
        for shape, scales in zip(
            ends, (deploy_model.scales.inputs, deploy_model.scales.outputs), strict=True
        ):
            assert (scales is not None) == (len(shape) == 2), name
            assert scales is None or (scales.shape == shape[1:] and (scales > 0).all())


def converted_error(
    trained: Trained, name: str, deploy_model: DeployModel, content: bytes
) -> float:
    """Norm of the difference between a graph, with its scales, and the network, as a share."""
    graph = Graph(content, name)
    inputs = trained.inputs(name)
    assert graph.input_shape == (BATCH, *inputs.shape[1:])
    outputs = graph.run(deploy_model.scaled(inputs[:BATCH]))
    if deploy_model.scales.outputs is not None:
        outputs = outputs * deploy_model.scales.outputs
    expected = trained.outputs(name, BATCH)
    return float(np.linalg.norm(outputs - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
@pytest.mark.parametrize("name", NAMES)
def test_a_converted_graph_computes_what_the_network_computes(
    trained: Trained, name: str, kind: Quantization
) -> None:
    deploy_model = (trained.equalized if kind == "int8" else trained.plain)[name]
    content = trained.graph(name, kind)
    assert converted_error(trained, name, deploy_model, content) <= LARGEST_ERROR[kind]
    weights = sum(array.size for array in deploy_model.model.get_weights())
    bytes_a_weight = {"float32": 4, "float16": 2, "int8": 1}[kind]
    weights_bytes = weights * bytes_a_weight + (
        3 * first_layer(deploy_model) if kind == "int8" else 0
    )
    assert len(content) == pytest.approx(weights_bytes, rel=0.05)


def first_layer(deploy_model: DeployModel) -> int:
    """Weights of the first layer that has any."""
    return next(layer.count_params() for layer in deploy_model.model.layers if layer.count_params())


@pytest.mark.parametrize("name", NAMES)
def test_the_ends_of_an_int8_graph_and_no_other_layer_are_float(
    trained: Trained, name: str
) -> None:
    deploy_model = trained.equalized[name]
    content = trained.graph(name, "int8")
    interpreter = Interpreter(model_content=content)
    kinds = {
        detail["index"]: np.dtype(detail["dtype"]).kind
        for detail in interpreter.get_tensor_details()
    }
    layers = [
        "".join(kinds[index] for index in (*operator["inputs"][:2], operator["outputs"][0]))
        for operator in interpreter._get_ops_details()
        if operator["op_name"] in ("CONV_2D", "FULLY_CONNECTED")
    ]
    last = "fif" if deploy_model.scales.outputs is not None else "iii"
    assert layers == ["fff", *["iii"] * (len(layers) - 2), last]
    assert len(layers) > 3


def test_weights_that_are_held_in_int8_are_off_by_half_a_step_at_most() -> None:
    random = np.random.default_rng(4)
    model = tf_keras.Sequential(
        [tf_keras.Input((16,), batch_size=BATCH), tf_keras.layers.Dense(8, name="last")]
    )
    content = convert(DeployModel(model), "float32", np.zeros((BATCH, 16), np.float32))
    (output,) = Interpreter(model_content=content).get_output_details()
    inputs = random.normal(size=(BATCH, 16)).astype(np.float32)
    held = Graph(hold_weights_in_int8(content, [output["name"]]), "held").run(inputs)
    exact = Graph(content, "exact").run(inputs)
    kernel = model.layers[-1].kernel.numpy()
    rounded = np.abs(inputs).sum(axis=1) * np.abs(kernel).max() / 254
    inputs_step = (inputs.max(axis=1) - inputs.min(axis=1)) / 255
    error = np.abs(held - exact).max(axis=1)
    assert (error <= rounded + inputs_step * np.abs(kernel).sum(axis=0).max()).all()
    assert error.max() > 0
    assert Graph(hold_weights_in_int8(content, []), "untouched").run(inputs) == pytest.approx(exact)


def test_a_calibrated_graph_computes_what_the_deploy_model_does_and_shows_its_tensors(
    trained: Trained,
) -> None:
    deploy_model = trained.equalized["generator"]
    inputs = deploy_model.scaled(trained.inputs("generator"))
    converter = calibrating_converter(deploy_model.model, inputs[:BATCH] / 2)
    converter._experimental_calibrate_only = True
    graph = CalibratedGraph.read(converter.convert())
    batches = [inputs[:BATCH], inputs[BATCH : 2 * BATCH]]
    found = graph.histograms(batches)
    activations = [layer for layer in deploy_model.model.layers if layer.name.endswith("lrelu")]
    run = probe(deploy_model.model, activations)
    expected = [np.concatenate(both) for both in zip(*map(run, batches), strict=True)]
    means = np.array([mean_of(histogram) for histogram in found.values()])
    highest = np.array([histogram.edges[-1] for histogram in found.values()])
    for output in expected:
        assert np.abs(means - output.mean()).min() < 0.01 * output.std()
        assert np.abs(highest - output.max()).min() < 1e-4 * output.max()
    graph.set_ranges(batches)
    for index, histogram in found.items():
        low, high = graph._range(index)
        is_leaky = b"lrelu" in graph.graph.tensors[index].name
        assert is_leaky or histogram.ends[0] <= low
        assert low <= high <= histogram.ends[1]


def mean_of(histogram: Histogram) -> float:
    return float(histogram.counts @ histogram.centres / histogram.counts.sum())


def test_leaky_relus_leave_positives_in_int8_as_they_are(trained: Trained) -> None:
    content = trained.graph("encoder", "int8")
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    tensors = interpreter.get_tensor_details()
    quantizations = [
        [tensors[operator[end][0]]["quantization"] for end in ("inputs", "outputs")]
        for operator in interpreter._get_ops_details()
        if operator["op_name"] == "LEAKY_RELU"
    ]
    rounded_ones = [each for each in quantizations if each[1][0] > 0]
    assert len(rounded_ones) >= 2
    for taken, given in rounded_ones:
        assert given == taken


def test_histograms_of_tensors_reach_from_their_smallest_to_their_largest_value() -> None:
    random = np.random.default_rng(2)
    batches = [[random.normal(size=(4, 5)), random.uniform(2, 3, size=7)] for _ in range(3)]
    found = histograms(lambda: iter(batches))
    for histogram, tensors in zip(found, zip(*batches, strict=True), strict=True):
        values = np.concatenate([tensor.ravel() for tensor in tensors])
        assert histogram.ends == (values.min(), values.max())
        assert histogram.counts.sum() == values.size
        assert mean_of(histogram) == pytest.approx(values.mean(), abs=1e-3)


def test_a_range_cuts_off_what_hardly_counts() -> None:
    values = np.random.default_rng(5).normal(size=20_000).astype(np.float32)
    values[:2] = -40.0, 40.0
    histogram = Histogram.between(-40.0, 40.0)
    histogram.add(values)
    found = {}
    for name, following in {"linear": LINEAR, "leaky": leaky(0.2)}.items():
        found[name] = least_error_range(histogram, following)
        function = following.function
        errors = [
            np.square(function(rounded(values, *ends)) - function(values)).mean()
            for ends in (found[name], (-40.0, 40.0))
        ]
        assert errors[0] < errors[1], name
    assert found["leaky"][0] > found["linear"][0]


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 3.0), (-2.0, 0.0), (0.5, 2.0)])
def test_rounding_is_what_int8_does_in_tflite(low: float, high: float) -> None:
    values = np.linspace(low - 0.5, high + 0.5, 400, dtype=np.float32)
    held = rounded(values, low, high)
    assert len(np.unique(held)) <= 256
    assert 0.0 in held or low > 0
    step = (max(high, 0.0) - min(low, 0.0)) / 255
    inside = (values > min(low, 0.0) + step) & (values < max(high, 0.0) - step)
    assert np.abs(held - values)[inside].max() <= 0.51 * step
    assert held.min() >= min(low, 0.0) - step
    assert held.max() <= max(high, 0.0) + step


def test_quantization_aware_training_gives_int8_graphs_near_the_network(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quantization_aware, "FINE_TUNING_STEPS", 2)
    monkeypatch.setattr(quantization_aware, "AGREEMENT_PATCHES", AGREEMENT_PATCHES)
    monkeypatch.setattr(quantization_aware, "SHARES", (1.0,))
    tuned = fine_tuned_deploy_models(
        trained.detector, trained.plan, trained.networks, trained.tensors
    )
    assert [each.message for each in caplog.records if each.levelname != "INFO"] == []
    assert set(tuned) == set(trained.plan.graphs)
    for name in NAMES:
        deploy_model = tuned[name]
        before, after = kernels_of(trained.equalized[name].model), kernels_of(deploy_model.model)
        assert before.keys() == after.keys()
        for kernel, value in before.items():
            assert 0 < np.abs(after[kernel] - value).max() < 1e-4, (name, kernel)
        content = convert(deploy_model, "int8", trained.inputs(name))
        assert converted_error(trained, name, deploy_model, content) <= LARGEST_ERROR["int8"]


def test_weights_that_were_tuned_for_the_worse_are_not_taken(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization_aware, "SHARES", (1.0, 0.0))
    monkeypatch.setattr(quantization_aware, "AGREEMENT_PATCHES", AGREEMENT_PATCHES)
    plan = trained.plan.chosen("im1", only=True)
    plain, ruined = (
        equalized_deploy_models(plan, trained.networks, trained.tensors) for _ in range(2)
    )
    for deploy_model in ruined.values():
        for variable in deploy_model.model.trainable_variables:
            variable.assign(variable * 1.2)
    _go_where_graphs_agree(plan, plain, ruined, trained.tensors)
    for name in plan.graphs:
        before, after = kernels_of(trained.equalized[name].model), kernels_of(plain[name].model)
        for kernel, value in before.items():
            assert np.abs(after[kernel] - value).max() < 1e-6, (name, kernel)


def test_disagreement_is_the_share_of_the_variance_that_the_models_miss(trained: Trained) -> None:
    patches = tf.constant(trained.patches[:BATCH])
    nodes = trained.plan.chosen("im1", only=True).nodes
    assert float(_disagreement(nodes, trained.plain, trained.equalized, patches)) < 1e-6
    last = nodes[-1]
    shift = 3.0 * np.asarray(trained.tensors[last.output][:BATCH]).std()

    def shifted(values: tf.Tensor, training: bool = False) -> tf.Tensor:
        return trained.equalized[last.graph](values, training=training) + shift

    missing = {**trained.equalized, last.graph: shifted}
    missed = float(_disagreement(nodes, missing, trained.equalized, patches))
    assert missed == pytest.approx(9.0, rel=1e-2)


def kernels_of(model: tf_keras.Model) -> dict[str, Array]:
    """Kernels by the name of their layer."""
    return {
        variable.name.split("/")[0].removeprefix("quant_"): variable.numpy()
        for variable in model.trainable_variables
        if variable.name.endswith("kernel:0")
    }


def test_inputs_of_a_graph_that_runs_twice_are_interleaved(trained: Trained) -> None:
    inputs = trained.inputs("embedding")
    assert len(inputs) == 2 * len(trained.patches)
    assert (inputs[::2] == trained.tensors["x"]).all()
    assert (inputs[1::2] == trained.tensors["y"]).all()
