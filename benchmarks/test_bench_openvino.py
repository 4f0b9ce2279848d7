"""OpenVINO on the same int8 graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from measuring import compare, rounds
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

if TYPE_CHECKING:
    from graphs import Workshop

Array = NDArray[np.float32]

NAMES = ("encoder", "generator")
LARGEST_RATIO = 1.35
"""The goal is 1.15 on a quiet machine; this is what CI lets pass."""

LARGEST_RATIO_WITHOUT_DOT_PRODUCTS = 2.5
"""Where the processor has no int8 dot products, LiteRT loses about a factor of 2 to OpenVINO."""


class OpenVinoChain:
    """Graphs run one after another by OpenVINO, `streams` batches at once.

    Parameters
    ----------
    paths
        TFLite graphs with a fixed batch.
    threads
        Threads in all.
    streams
        Batches at once, each on `threads / streams` threads.
    """

    def __init__(self, paths: Sequence[Path], threads: int, streams: int) -> None:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
        core = openvino.Core()
        models = [core.compile_model(str(path), "CPU", settings) for path in paths]
        self._requests: SimpleQueue[list[Any]] = SimpleQueue()
        for _ in range(streams):
            self._requests.put([model.create_infer_request() for model in models])
        self._streams = streams
        self._batch = models[0].input(0).shape[0]

    def run(self, values: Array) -> Array:
        """Output of the last graph for `values`, whose length is a multiple of the batch."""
        from concurrent.futures import ThreadPoolExecutor

        starts = range(0, len(values), self._batch)
        with ThreadPoolExecutor(self._streams) as pool:
            parts = pool.map(lambda at: self._run_batch(values[at : at + self._batch]), starts)
            return np.concatenate(list(parts))

    def on(self, values: Array) -> Callable[[], Array]:
        """`run` with its argument, to be timed."""
        return lambda: self.run(values)

    def _run_batch(self, values: Array) -> Array:
        requests = self._requests.get(timeout=60)
        try:
            for request in requests:
                values = request.infer([values], share_inputs=True)[0]
            return values.copy()
        finally:
            self._requests.put(requests)


@pytest.fixture(scope="module")
def graph_paths(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    pytest.importorskip("openvino", reason="OpenVINO comes with the extra bench")
    folder = tmp_path_factory.mktemp("graphs")
    paths = [folder / f"{name}.tflite" for name in NAMES]
    for path in paths:
        path.write_bytes(workshop.content(path.stem, "int8", 32, True))
    return paths


@pytest.mark.parametrize("threads", [1, 2])
def test_against_openvino(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    patches: Array,
    graph_paths: list[Path],
    dot_products: tuple[str, ...],
    threads: int,
) -> None:
    plural = "thread" if threads == 1 else "threads"
    ours = workshop.chain(*NAMES, workers=threads)
    theirs = {
        f"OpenVINO, {threads} {plural}, {streams} at once": OpenVinoChain(
            graph_paths, threads, streams
        )
        for streams in range(1, threads + 1)
    }
    expected = ours.run(patches)
    for chain in theirs.values():
        assert np.corrcoef(expected.ravel(), chain.run(patches).ravel())[0, 1] > 0.98
    label = f"semedge (LiteRT), {threads} {plural}"
    ratios = compare(
        benchmark,
        f"Encoder + generator, int8, one frame, {threads} {plural}: OpenVINO on the same graphs",
        {label: ours.on(patches), **{name: chain.on(patches) for name, chain in theirs.items()}},
        reference=label,
        count=rounds(25, 9),
        notes=("A ratio of 0.87 is the goal of 1.15: the fastest OpenVINO against semedge.",),
    )
    largest = LARGEST_RATIO if dot_products else LARGEST_RATIO_WITHOUT_DOT_PRODUCTS
    assert 1 / min(ratios[name] for name in theirs) < largest
