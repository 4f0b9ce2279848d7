"""The TFLite runtime: no other module depends on which one is installed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.stderr import without_information

RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


@cache
def find_runtime() -> tuple[str, Callable[..., Any]]:
    """Package name and `Interpreter` class of the runtime: LiteRT, or else tflite-runtime."""
    for module_name in RUNTIMES:
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        return module_name.split(".")[0].replace("_", "-"), module.Interpreter
    raise SemedgeError(
        "No TFLite runtime is installed; install ai-edge-litert (or, on Python 3.11 and older "
        "with NumPy 1, tflite-runtime)."
    )


def worker_count(workers: int | None) -> int:
    """Number of threads for the graphs: `workers`, or the usable cores where it is None."""
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    if count < 1:
        raise SemedgeError(f"workers must be at least 1. Received: {workers}")
    return count


def open_graph(
    content: bytes, name: str, *, threads: int = 1, input_shape: Sequence[int] | None = None
) -> Any:
    """An interpreter of a graph with one input, ready to run.

    Parameters
    ----------
    content
        The graph.
    name
        What it is called where it cannot be run.
    threads
        Threads that it runs on.
    input_shape
        The input's shape, where the graph leaves it open.
    """
    _, interpreter_class = find_runtime()
    try:
        with without_information():
            interpreter = interpreter_class(model_content=content, num_threads=threads)
            (found,) = interpreter.get_input_details()
            if input_shape is not None:
                interpreter.resize_tensor_input(found["index"], list(input_shape))
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SemedgeError(
            f"The graph {name} cannot be run by the TFLite runtime installed here ({reason}); "
            "export the detector again with this version of semedge."
        ) from error
    return interpreter


class Graph:
    """One TFLite graph with one input, one output and a fixed batch, run on one thread.

    The runtime's own threads spin while they wait, and slow each other down when another process
    takes a core; parallel work therefore uses several graphs, one for each worker, where there is
    more than one batch. `threads` is for the other cases.
    """

    def __init__(self, content: bytes, name: str, *, threads: int = 1) -> None:
        self._interpreter = open_graph(content, name, threads=threads)
        (self._input,) = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(outputs) != 1:
            raise SemedgeError(
                f"The graph {name} has {len(outputs)} outputs instead of one; export the detector "
                "again with this version of semedge."
            )
        (self._output,) = outputs
        self.name = name
        self.input_shape: tuple[int, ...] = tuple(int(side) for side in self._input["shape"])
        self.batch = self.input_shape[0]

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Output for `values`, float32 `(n, ...)` with `n` at most the batch.

        A batch that is not full is padded with zeros, and the padding is cut off the output. A
        full batch may give more outputs than inputs, such as the patches of a tile.
        """
        count = len(values)
        if count == self.batch:
            return self._run_whole(values)
        full = np.zeros(self.input_shape, np.float32)
        full[:count] = values
        return self._run_whole(full)[:count]

    def _run_whole(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._input["index"], values)
        self._interpreter.invoke()
        output: NDArray[np.float32] = self._interpreter.get_tensor(self._output["index"])
        return output
