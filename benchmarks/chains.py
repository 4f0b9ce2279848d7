"""Networks run one after another on all patches, by semedge's runtime and by its peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semedge.inference.interpreter import Graph

Array = NDArray[np.float32]
Run = Callable[[Array], Array]

TIMEOUT_S = 60
ONNX_OPSET = 17
LEAST_CORRELATION = 0.95
"""Of a peer's outputs with ours, on any processor.

Without int8 dot products OpenVINO adds pairs of products in 16 bits, which saturate: the outputs
of the texture network then correlate to 0.970 with those of LiteRT's reference kernels, and ours to
0.998.
"""


class Chain:
    """Networks run one after another on batches, one set of them a worker thread.

    Parameters
    ----------
    sets
        For each worker thread its networks; each takes what the one before it gives.
    batch
        Items that a network takes at once.
    """

    def __init__(self, sets: Sequence[Sequence[Run]], batch: int) -> None:
        self._sets: SimpleQueue[Sequence[Run]] = SimpleQueue()
        for networks in sets:
            self._sets.put(networks)
        self.batch = batch
        self._pool = ThreadPoolExecutor(len(sets))

    def run(self, values: Array) -> Array:
        """Output of the last network for `values`, shape `(n, ...)`."""
        starts = range(0, len(values), self.batch)
        parts = self._pool.map(lambda at: self._run_batch(values[at : at + self.batch]), starts)
        return np.concatenate(list(parts))

    def on(self, values: Array) -> Callable[[], Array]:
        """`run` with its argument, to be timed."""
        return lambda: self.run(values)

    def _run_batch(self, values: Array) -> Array:
        networks = self._sets.get(timeout=TIMEOUT_S)
        try:
            for run in networks:
                values = run(values)
            return values
        finally:
            self._sets.put(networks)


def litert_chain(contents: Sequence[bytes], *, workers: int = 1, threads: int = 1) -> Chain:
    """TFLite graphs as semedge runs them; each of the `workers` on `threads` threads."""
    sets = [
        [Graph(content, "benchmark", threads=threads) for content in contents]
        for _ in range(workers)
    ]
    return Chain([[graph.run for graph in graphs] for graphs in sets], sets[0][0].batch)


def openvino_chain(paths: Sequence[Path], *, threads: int, streams: int = 1) -> Chain:
    """The same TFLite graphs by OpenVINO, `streams` batches at once on `threads` in all."""
    openvino = pytest.importorskip("openvino", reason="OpenVINO comes with the extra bench")
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
    models = [core.compile_model(str(path), "CPU", settings) for path in paths]
    sets = [[_openvino_run(model) for model in models] for _ in range(streams)]
    return Chain(sets, models[0].input(0).shape[0])


def onnx_chain(paths: Sequence[Path], *, threads: int, streams: int = 1) -> Chain:
    """The same graphs, turned into ONNX, by ONNX Runtime; see `openvino_chain`."""
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime comes with the extra peers")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads // streams
    models = [to_onnx(path) for path in paths]
    sets = [
        [
            runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            for model in models
        ]
        for _ in range(streams)
    ]
    batch = sets[0][0].get_inputs()[0].shape[0]
    return Chain([[_onnx_run(session) for session in sessions] for sessions in sets], batch)


def to_onnx(path: Path) -> Path:
    """The ONNX form, in quantize-dequantize pairs, of an int8 TFLite graph; made once."""
    target = path.with_suffix(".onnx")
    if not target.exists():
        from tf2onnx.convert import from_tflite

        from_tflite(str(path), opset=ONNX_OPSET, output_path=str(target))
    return target


def multiply_adds(path: Path) -> int:
    """Multiply-adds of one call of a TFLite graph: its convolutions and matrix products."""
    openvino = pytest.importorskip("openvino", reason="OpenVINO comes with the extra bench")
    total = 0
    for operation in openvino.Core().read_model(str(path)).get_ops():
        kind = operation.get_type_name()
        if kind in ("Convolution", "GroupConvolution"):
            # Weights: (outputs, inputs, h, w), grouped ones (groups, outputs, inputs, h, w).
            weights = list(operation.input(1).get_shape())
            each = int(np.prod(weights[1 if kind == "Convolution" else 2 :]))
        elif kind == "MatMul":
            each = operation.input(0).get_shape()[-1]
        else:
            continue
        total += each * int(np.prod(operation.output(0).shape))
    return total


def _openvino_run(model: Any) -> Run:
    request = model.create_infer_request()
    return lambda values: request.infer([values], share_inputs=True)[0]


def _onnx_run(session: Any) -> Run:
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]
