"""The thesis's networks with seeded random weights, as the export writes them.

Latency does not depend on the weights' values; the statistics of batch normalization are settled
on the patches, so that int8 has ranges to quantize.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from queue import SimpleQueue

import keras
import numpy as np
from numpy.typing import NDArray

from semedge.bundle import members_of, write_bundle
from semedge.interpreter import Graph
from semedge.manifest import (
    Intensity,
    Manifest,
    PatchInput,
    Quantization,
    ScoreChoice,
    Training,
)
from semedge.nodes import nodes_needed
from semedge.scores import tensors_needed
from semedge_trainer.detectors import make_detector
from semedge_trainer.quantization import convert
from semedge_trainer.twin import make_twin

Array = NDArray[np.float32]
BATCH = 32
SETTLING_STEPS = 20
GRAPH_TIMEOUT_S = 60
SCORE = "comb_im"
"""A score that needs three networks: E_G, G and E_R."""


class Chain:
    """Graphs run one after another on all patches, one set of graphs a worker thread.

    Parameters
    ----------
    contents
        TFLite graphs; each takes what the one before it gives.
    workers
        Threads that run batches in parallel.
    """

    def __init__(self, contents: Sequence[bytes], workers: int = 1) -> None:
        self._sets: SimpleQueue[list[Graph]] = SimpleQueue()
        for _ in range(workers):
            graphs = [Graph(content, "benchmark") for content in contents]
            self._sets.put(graphs)
        self._batch = graphs[0].batch
        self._pool = ThreadPoolExecutor(workers)

    def run(self, values: Array) -> Array:
        """Output of the last graph for `values`, shape `(n, ...)`."""
        starts = range(0, len(values), self._batch)
        parts = self._pool.map(lambda at: self._run_batch(values[at : at + self._batch]), starts)
        return np.concatenate(list(parts))

    def on(self, values: Array) -> Callable[[], Array]:
        """`run` with its argument, to be timed."""
        return lambda: self.run(values)

    def _run_batch(self, values: Array) -> Array:
        graphs = self._sets.get(timeout=GRAPH_TIMEOUT_S)
        try:
            for graph in graphs:
                values = graph.run(values)
            return values
        finally:
            self._sets.put(graphs)


class Workshop:
    """Converts the networks when a benchmark asks for them, each form once.

    Parameters
    ----------
    patches
        Scaled patches `(n, 32, 32, 1)`, from which the ranges of int8 come.
    """

    def __init__(self, patches: Array) -> None:
        keras.utils.set_random_seed(0)
        self.detector = make_detector("sencebgan", {}, "fast")
        self.networks = self.detector.build()
        self.patches = patches
        for name in ("encoder", "generator", "embedding", "reconstruction_encoder"):
            inputs = self.latents if name == "generator" else patches
            for _ in range(SETTLING_STEPS):
                self.networks[name](inputs[:64], training=True)
        self.content = cache(self._convert)

    def chain(
        self,
        *names: str,
        quantization: Quantization = "int8",
        batch: int = BATCH,
        rewrite: bool = True,
        workers: int = 1,
    ) -> Chain:
        """The named networks, one after another."""
        contents = [self.content(name, quantization, batch, rewrite) for name in names]
        return Chain(contents, workers)

    def write_detector(self, path: Path) -> None:
        """A bundle, int8, whose score needs all three networks."""
        plan = self.detector.score_plan()
        weights = dict(plan.scores[SCORE])
        nodes = tuple(nodes_needed(plan.nodes, tensors_needed(weights)))
        contents = {
            f"{name}.tflite": self.content(name, "int8", BATCH, True)
            for name in sorted({node.graph for node in nodes})
        }
        manifest = Manifest(
            format_version=1,
            detector=self.detector.name,
            input=PatchInput(patch_px=self.detector.patch_px),
            stride_px=self.detector.patch_px,
            quantization="int8",
            nodes=nodes,
            score=ScoreChoice(name=SCORE, weights=weights),
            scores={SCORE: weights},
            members=members_of(contents),
            training=_untrained(self.detector.name, self.detector.thesis_section),
            parity={},
        )
        write_bundle(path, manifest, contents)

    @cached_property
    def latents(self) -> Array:
        """What the generator sees: the encoder's latents of the patches."""
        latents: Array = self.networks["encoder"].predict(self.patches, verbose=0)
        return latents

    def _convert(self, name: str, quantization: Quantization, batch: int, rewrite: bool) -> bytes:
        inputs = self.latents if name == "generator" else self.patches
        twin = make_twin(self.networks[name], batch=batch, rewrite=rewrite)
        return convert(twin, quantization, inputs)


def _untrained(detector: str, thesis_section: str) -> Training:
    return Training(
        detector=detector,
        thesis_section=thesis_section,
        schedule="none: random weights, for benchmarks",
        seed=0,
        steps={},
        learning_rates={},
        options={},
        frame_sha256=(),
        frames=1,
        intensity=Intensity(mean=0.5, standard_deviation=0.2, percentile_1=0.1, percentile_99=0.9),
        packages={},
        created_at="1980-01-01T00:00:00+00:00",
    )
