"""Patches to scores: the graphs of a bundle, one set a worker thread."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from semedge.bundle import Bundle
from semedge.closing import Closing
from semedge.frame import GrayImage
from semedge.grid import PatchGrid
from semedge.interpreter import Graph, worker_count
from semedge.manifest import PatchInput
from semedge.nodes import nodes_needed, run_node
from semedge.scaling import scale_patches
from semedge.scores import tensors_needed, weighted_score
from semedge.scores.distances import Tensor
from semedge.stopwatch import Stopwatch

BATCH = 32
"""Patches a batch where no graph sets it."""

WAIT_FOR_GRAPHS_S = 60


class PatchScorer(Closing):
    """Scores of a bundle in one pass over the patches; each tensor is computed once.

    Parameters
    ----------
    bundle
        What to run.
    scores
        Weights of each wanted score, by its name.
    workers
        Threads that score batches in parallel; the usable cores where None.

    Attributes
    ----------
    batch
        Patches that the graphs take at once.
    """

    def __init__(
        self, bundle: Bundle, scores: Mapping[str, Mapping[str, float]], workers: int | None = None
    ) -> None:
        self.bundle = bundle
        self.workers = worker_count(workers)
        self._scores = scores
        assert isinstance(bundle.manifest.input, PatchInput)
        self._scaling = bundle.manifest.input.scaling
        self._constants = bundle.arrays()
        terms = {term for weights in scores.values() for term in weights}
        self._nodes = nodes_needed(bundle.manifest.nodes, tensors_needed(terms))
        names = sorted({node.graph for node in self._nodes})
        self._graph_sets: SimpleQueue[dict[str, Graph]] = SimpleQueue()
        for _ in range(self.workers):
            graphs = {name: Graph(bundle.graph(name), name) for name in names}
            self._graph_sets.put(graphs)
        self.batch = min((graph.batch for graph in graphs.values()), default=BATCH)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="score")

    def score_image(
        self, image: GrayImage, grid: PatchGrid
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Scores of the grid's patches by name, each `(len(grid),)`, and milliseconds by stage."""
        watch = Stopwatch()
        patches = grid.cut(image)
        watch.lap("cut")
        scores, spent_ms = self.run(patches)
        return scores, watch.stage_ms | spent_ms

    def run(self, patches: NDArray) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Scores of patches `(n, patch_px, patch_px, 1)` by name, and the milliseconds by stage.

        Each score has shape `(n,)`; the time of a stage is summed over the workers.
        """
        starts = range(0, len(patches), self.batch)
        parts = list(
            self._pool.map(lambda at: self._run_batch(patches[at : at + self.batch]), starts)
        )
        stage_ms: dict[str, float] = {}
        for _, batch_ms in parts:
            for stage, spent_ms in batch_ms.items():
                stage_ms[stage] = stage_ms.get(stage, 0.0) + spent_ms
        scores = {
            name: np.concatenate([scores[name] for scores, _ in parts]) for name in self._scores
        }
        return scores, stage_ms

    def close(self) -> None:
        """End the worker threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_batch(self, patches: NDArray) -> tuple[dict[str, Tensor], dict[str, float]]:
        graphs = self._graph_sets.get(timeout=WAIT_FOR_GRAPHS_S)
        try:
            return self._run_nodes(graphs, patches)
        finally:
            self._graph_sets.put(graphs)

    def _run_nodes(
        self, graphs: Mapping[str, Graph], patches: NDArray
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        watch = Stopwatch()
        scaled = scale_patches(patches, self._scaling)
        tensors = {**self._constants, "x": scaled}
        watch.lap("scale")
        for node in self._nodes:
            tensors[node.output] = run_node(
                node, tensors, lambda name, values: graphs[name].run(values)
            )
            watch.lap(node.graph)
        scores = {name: weighted_score(weights, tensors) for name, weights in self._scores.items()}
        watch.lap("score")
        return scores, watch.stage_ms
