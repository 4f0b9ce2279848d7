"""int8 graphs whose scores keep the order that the float network gives them.

The converter takes the smallest and largest value that a tensor was seen with as its range. Here
each range is the one that rounds with the least error, in what the operator after it makes of the
tensor, and a leaky ReLU gives values in the range of those it takes (`ranges.py`). And the ends of
a graph are not rounded, for they suffer most: the first layer, whose inputs are gray values or
latents, stays float, a small share of the multiply-adds; a dense layer that gives latents,
embeddings or logits holds its weights in int8 and gives float.

TFLite's calibrated graph, whose tensors carry their ranges, is what both act on.

The graphs of whole frames are left to TFLite, whole and in the ranges that it saw: the arrays of
their scores are fitted anew to what the int8 graphs give, the rounding included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.schema_py_generated import (
    BuiltinOperator,
    QuantizationParametersT,
    TensorType,
)

from semedge.core.stderr import stderr_dropped
from semedge_trainer.quantization.flatbuffer import Flatbuffer
from semedge_trainer.quantization.ranges import (
    LINEAR,
    TANH,
    Following,
    Histogram,
    histograms,
    leaky,
    least_error_range,
)
from semedge_trainer.quantization.representative import representative_batches
from semedge_trainer.quantization.tflite import calibrating_converter, run_converter

Array = NDArray[np.float32]
Ranges = Literal["least_error", "observed"]

LAYERS = (
    BuiltinOperator.CONV_2D,
    BuiltinOperator.DEPTHWISE_CONV_2D,
    BuiltinOperator.TRANSPOSE_CONV,
    BuiltinOperator.FULLY_CONNECTED,
)
MOVES = (BuiltinOperator.RESHAPE, BuiltinOperator.DEPTH_TO_SPACE)
"""Operators that compute nothing: what they give has the range of what they take."""


def convert_int8(model: tf_keras.Model, representative: Array, ranges: Ranges) -> bytes:
    """int8 graph of a model, whose ends are in float32.

    Parameters
    ----------
    model
        The Keras model of a deploy model.
    representative
        Inputs as the graph will see them, shape `(n, ...)`, n at least the model's batch.
    ranges
        `least_error` as above, for patches; `observed` as TFLite does, for whole frames.
    """
    if ranges == "observed":
        return run_converter(calibrating_converter(model, representative))
    batches = representative_batches(representative, model.inputs[0].shape[0])
    # One batch makes it a calibrated graph; its ranges are set from all of them, by faster kernels.
    converter = calibrating_converter(model, batches[0])
    converter._experimental_calibrate_only = True
    graph = CalibratedGraph.read(run_converter(converter))
    graph.set_ranges(batches)
    last = graph.last_dense()
    with stderr_dropped():
        content: bytes = mlir_quantize(
            graph.content(), denylisted_nodes=[*graph.first_layer(), *last]
        )
    return hold_weights_in_int8(content, last)


@dataclass(frozen=True)
class CalibratedGraph(Flatbuffer):
    """A float graph whose tensors carry the ranges that they were seen with.

    It is what the converter gives when it only calibrates.
    """

    def first_layer(self) -> list[str]:
        """Names of what the operators give up to the second convolution or dense layer."""
        kinds = [self.kind(operator) for operator in self.graph.operators]
        layers = [index for index, kind in enumerate(kinds) if kind in LAYERS]
        end = layers[1] if len(layers) > 1 else len(kinds)
        return [
            self.graph.tensors[operator.outputs[0]].name.decode()
            for operator in self.graph.operators[:end]
        ]

    def last_dense(self) -> list[str]:
        """Name of the output, where a dense layer other than the first gives it."""
        last = self.graph.operators[-1]
        name: str = self.graph.tensors[last.outputs[0]].name.decode()
        is_dense = self.kind(last) == BuiltinOperator.FULLY_CONNECTED
        return [name] if is_dense and name not in self.first_layer() else []

    def histograms(self, batches: Sequence[Array]) -> dict[int, Histogram]:
        """Histograms of every activation and of the output, by the tensor's index."""
        shown = [*self._activations(), int(self.graph.outputs[0])]
        return dict(zip(shown, histograms(lambda: self._runs(batches, shown)), strict=True))

    def set_ranges(self, batches: Sequence[Array]) -> None:
        """Give each activation the range of the least error, and the output all that it takes."""
        found = self.histograms(batches)
        in_float = self.first_layer()
        for index in self._activations():
            source = self._source_of_range(index, in_float)
            ends = (
                least_error_range(found[index], self._next(index))
                if source is None
                else self._range(source)
            )
            self._set_range(index, ends)
        output = int(self.graph.outputs[0])
        self._set_range(output, found[output].ends)

    def _runs(self, batches: Sequence[Array], shown: Sequence[int]) -> Iterator[list[Array]]:
        """For each batch, the values of the tensors of these indices."""
        interpreter = Interpreter(
            model_content=self.content(), experimental_preserve_all_tensors=True
        )
        interpreter.allocate_tensors()
        for batch in batches:
            interpreter.set_tensor(self.graph.inputs[0], batch)
            interpreter.invoke()
            yield [interpreter.get_tensor(index) for index in shown]

    def _range(self, index: int) -> tuple[float, float]:
        quantization = self.graph.tensors[index].quantization
        return float(quantization.min[0]), float(quantization.max[0])

    def _set_range(self, index: int, ends: tuple[float, float]) -> None:
        quantization = self.graph.tensors[index].quantization
        quantization.min, quantization.max = ([end] for end in ends)

    def _activations(self) -> list[int]:
        """Indices of the input and of what the operators give but the output, in that order."""
        given = [int(operator.outputs[0]) for operator in self.graph.operators]
        return [int(self.graph.inputs[0]), *given[:-1]]

    def _source_of_range(self, index: int, in_float: Collection[str]) -> int | None:
        """The tensor whose range a tensor has too, if any; `in_float` are those not rounded."""
        for operator in self.graph.operators:
            if int(operator.outputs[0]) != index:
                continue
            is_leaky = self.kind(operator) == BuiltinOperator.LEAKY_RELU
            is_rounded = self.graph.tensors[index].name.decode() not in in_float
            if self.kind(operator) in MOVES or (is_leaky and is_rounded):
                return int(operator.inputs[0])
        return None

    def _next(self, index: int) -> Following:
        """What the operator that takes a tensor makes of its values, past moves."""
        for operator in self.graph.operators:
            if index not in [int(each) for each in operator.inputs]:
                continue
            match self.kind(operator):
                case BuiltinOperator.RESHAPE | BuiltinOperator.DEPTH_TO_SPACE:
                    return self._next(int(operator.outputs[0]))
                case BuiltinOperator.LEAKY_RELU:
                    return leaky(operator.builtinOptions.alpha)
                case BuiltinOperator.TANH:
                    return TANH
        return LINEAR


def hold_weights_in_int8(content: bytes, outputs: Collection[str]) -> bytes:
    """The graph with the weights of these float dense layers in int8, one scale a layer.

    The runtime rounds such a layer's inputs too, item by item in the range of each; its outputs are
    float.
    """
    file = Flatbuffer.read(content)
    graph = file.graph
    for operator in graph.operators:
        if graph.tensors[operator.outputs[0]].name.decode() not in outputs:
            continue
        weights = graph.tensors[operator.inputs[1]]
        buffer = file.model.buffers[weights.buffer]
        values = np.frombuffer(buffer.data.tobytes(), np.float32)
        scale = np.abs(values).max() / 127
        buffer.data = np.round(values / scale).astype(np.int8).view(np.uint8)
        weights.type = TensorType.INT8
        weights.quantization = QuantizationParametersT()
        weights.quantization.scale, weights.quantization.zeroPoint = [scale], [0]
        operator.builtinOptions.asymmetricQuantizeInputs = True
    return file.content()
