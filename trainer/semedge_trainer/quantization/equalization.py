"""Equalized ranges before quantization, without changing what a network computes.

int8 has one range for all channels of an activation. A channel that spans a third of the widest
one gets a third of the steps. Leaky ReLU is positively homogeneous, so channels can be divided by
a factor in the layer before it and multiplied by the same factor in the layers after it (Nagel et
al., "Data-free quantization through weight equalization and bias correction", ICCV 2019); here the
factors come from the ranges that normal patches show. At the latent ends of a graph, where no
layer is left to undo the factor, the edge does so in float.

Where skip connections join the channels of several layers, all of these are equalized to one
reach, since int8 has one range for what is joined.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import tf_keras
from numpy.typing import NDArray

from semedge.inference.manifest import Node
from semedge_trainer.detectors.base import Networks, ScorePlan
from semedge_trainer.quantization.deploy_model import (
    BATCH,
    DeployModel,
    DepthToSpace,
    LatentScales,
    probe,
    to_deploy_models,
)
from semedge_trainer.quantization.representative import inputs_of, representative_batches

Array = NDArray[np.float32]

SMALLEST_FACTOR = 1 / 64
"""A channel that hardly moves is not blown up further than this."""


@dataclass(frozen=True)
class _Writer:
    """A layer whose output channels can be divided, or the latent input where `layer` is None.

    Attributes
    ----------
    reach
        Largest magnitude of each channel.
    readers
        Who undoes the factors.
    """

    layer: tf_keras.layers.Layer | None
    reach: Array
    readers: tuple[_Reader, ...]


@dataclass(frozen=True)
class _Reader:
    """A layer that takes channels in, or the latent output where `layer` is None.

    Attributes
    ----------
    first, count
        Where they are among all the channels that it takes in.
    """

    layer: tf_keras.layers.Layer | None
    first: int
    count: int


def equalized_deploy_models(
    plan: ScorePlan, networks: Networks, tensors: Mapping[str, Array]
) -> dict[str, DeployModel]:
    """The deploy models of `to_deploy_models`, equalized, for int8 graphs.

    `tensors` is what the networks make of training patches.
    """
    deploy_models = to_deploy_models(plan, networks)
    return {
        name: equalize(deploy_model, representative_batches(inputs_of(name, plan, tensors), BATCH))
        for name, deploy_model in deploy_models.items()
    }


def equalize(deploy_model: DeployModel, batches: Iterable[Array]) -> DeployModel:
    """Equalize the channels of a deploy model in place, and scale its latent ends.

    Parameters
    ----------
    deploy_model
        From `to_deploy_model`.
    batches
        Inputs as the graph will see them, each as long as the model's batch.
    """
    model = deploy_model.model
    writers = _writers(model, batches)
    widest: dict[int, float] = {}
    for writer in writers:
        for reader in writer.readers:
            reach = max(widest.get(id(reader.layer), 0.0), float(writer.reach.max()))
            widest[id(reader.layer)] = reach
    inputs = outputs = None
    for writer in writers:
        factors = _factors(writer, max(widest[id(reader.layer)] for reader in writer.readers))
        everywhere = np.tile(factors, len(writer.reach) // len(factors))
        if writer.layer is None:
            inputs = everywhere
        else:
            kernel, bias = writer.layer.get_weights()
            writer.layer.set_weights([kernel / everywhere, bias / everywhere])
        for reader in writer.readers:
            undoing = np.tile(factors, reader.count // len(factors))
            if reader.layer is None:
                outputs = undoing
            else:
                _multiply_inputs(reader.layer, reader.first, undoing)
    return DeployModel(model, LatentScales(inputs, outputs))


def scaled_nodes(
    nodes: tuple[Node, ...], deploy_models: Mapping[str, DeployModel]
) -> tuple[tuple[Node, ...], dict[str, Array]]:
    """The nodes with the scales of their graphs named, and the scales by name."""
    scales: dict[str, Array] = {}
    scaled = []
    for node in nodes:
        found = deploy_models[node.graph].scales
        named = {}
        for end, array in (("input_scale", found.inputs), ("output_scale", found.outputs)):
            if array is not None:
                named[end] = f"{node.graph}_{end}"
                scales[named[end]] = array
        scaled.append(node.model_copy(update=named))
    return tuple(scaled), scales


def _writers(model: tf_keras.Model, batches: Iterable[Array]) -> list[_Writer]:
    """All whose factors can be undone."""
    layers = [layer for layer in model.layers if layer.get_weights()]
    run = probe(model, layers)
    ends = (model.input, *(layer.output for layer in layers))
    reaches = [np.zeros(tensor.shape[-1], np.float32) for tensor in ends]
    for batch in batches:
        for reach, value in zip(reaches, (batch, *run(batch)), strict=True):
            np.maximum(reach, _largest(value), out=reach)
    taking_in = _readers(model, model.input) if _is_latent(model.input) else ()
    found = [
        _Writer(None, reaches[0], taking_in),
        *(
            _Writer(layer, reach, _readers(model, layer.output))
            for layer, reach in zip(layers, reaches[1:], strict=True)
        ),
    ]
    return [writer for writer in found if writer.readers]


def _readers(model: tf_keras.Model, tensor: tf_keras.KerasTensor) -> tuple[_Reader, ...]:
    """Whoever takes in the channels of a tensor; none where one of them could not undo a factor."""
    count = tensor.shape[-1]
    readers: list[_Reader] = []
    if tensor is model.output:
        if not _is_latent(tensor):
            return ()
        readers.append(_Reader(None, 0, count))
    for layer in model.layers:
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        if layer.output is tensor or all(source is not tensor for source in sources):
            continue
        if layer.get_weights():
            readers.append(_Reader(layer, 0, count))
            continue
        behind = _readers_behind(model, layer, tensor, sources)
        if not behind:
            return ()
        readers += behind
    return tuple(readers)


def _readers_behind(
    model: tf_keras.Model, layer: tf_keras.layers.Layer, tensor: tf_keras.KerasTensor, sources: list
) -> tuple[_Reader, ...]:
    """Readers of a layer that moves channels without changing their ratios."""
    match layer:
        case (
            tf_keras.layers.LeakyReLU()
            | tf_keras.layers.Flatten()
            | tf_keras.layers.Reshape()
            | DepthToSpace()
        ):
            return _readers(model, layer.output)
        case tf_keras.layers.Concatenate():
            joined = _readers(model, layer.output)
            if any(reader.count != layer.output.shape[-1] for reader in joined):
                return ()  # their channels are no longer in the order in which they were joined
            at = [source is tensor for source in sources].index(True)
            first = sum(source.shape[-1] for source in sources[:at])
            return tuple(
                dataclasses.replace(reader, first=reader.first + first, count=tensor.shape[-1])
                for reader in joined
            )
    return ()


def _is_latent(tensor: tf_keras.KerasTensor) -> bool:
    return len(tensor.shape) == 2


def _factors(writer: _Writer, widest: float) -> Array:
    """Each channel's reach as a share of the widest.

    What lies between may move channels to pixels or flatten pixels to channels; either way the
    channel of a value is its index modulo the smallest of all counts.
    """
    count = min(len(writer.reach), *(reader.count for reader in writer.readers))
    reach = writer.reach.reshape(-1, count).max(axis=0)
    if widest == 0:
        return np.ones_like(reach)
    return np.maximum(reach / widest, SMALLEST_FACTOR).astype(np.float32)


def _multiply_inputs(layer: tf_keras.layers.Layer, first: int, factors: Array) -> None:
    kernel, bias = layer.get_weights()
    kernel[..., first : first + len(factors), :] *= factors[:, None]
    layer.set_weights([kernel, bias])


def _largest(values: Array) -> Array:
    """Largest magnitude of each channel of `(n, ..., channels)`."""
    magnitudes: Array = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
    return magnitudes
