"""Scores of patches: the graphs of a bundle, run in batches on worker threads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from semedge.core.closing import Closing
from semedge.core.frame import GrayImage
from semedge.core.timing import Stopwatch
from semedge.inference.bundle import Bundle
from semedge.inference.fully_convolutional import FrameNode
from semedge.inference.grid import PatchGrid
from semedge.inference.network_input import PatchInput
from semedge.inference.nodes import nodes_needed, run_node
from semedge.inference.scaling import scale_patches
from semedge.inference.scores import tensors_needed, weighted_score
from semedge.inference.scores.distances import Tensor
from semedge.inference.worker_pool import Graphs, Workers

BATCH = 32
"""Patches in a batch, where no graph determines it."""


class PatchScorer(Closing):
    """Scores of a bundle in one pass over the patches; each tensor is computed once.

    Parameters
    ----------
    bundle
        The bundle to run.
    scores
        Weights of each score to compute, by its name.
    workers
        Threads that score batches in parallel; the usable cores where None.

    Attributes
    ----------
    batch
        Number of patches that the graphs take at once.
    """

    def __init__(
        self, bundle: Bundle, scores: Mapping[str, Mapping[str, float]], workers: int | None = None
    ) -> None:
        self.bundle = bundle
        self._scores = scores
        assert isinstance(bundle.manifest.input, PatchInput)
        self._scaling = bundle.manifest.input.scaling
        self._constants = bundle.arrays()
        terms = {term for weights in scores.values() for term in weights}
        self._nodes = nodes_needed(bundle.manifest.nodes, tensors_needed(terms))
        names = {name for node in self._nodes for name in node.graphs}
        self._workers = Workers(bundle, names, workers)
        batches = (self._workers.batch(node.graph) for node in self._nodes)
        self.batch = min(batches, default=BATCH)

    def score_image(
        self, image: GrayImage, grid: PatchGrid
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Scores of the grid's patches by name, each `(len(grid),)`, and milliseconds by stage.

        Where the grid's stride is the bundle's, fully convolutional networks run on tiles of
        the frame instead of patches.
        """
        watch = Stopwatch()
        patches = grid.cut(image)
        watch.lap("cut")
        given: dict[str, Tensor] = {}
        tiles_ms: dict[str, float] = {}
        for node in self._nodes:
            if node.over_frame is not None and grid.stride_px == self.bundle.manifest.stride_px:
                tiled = FrameNode(node, node.over_frame, self._constants, grid)
                values, spent_ms = tiled.run(self._workers, image, patches)
                given[node.output] = values
                tiles_ms[node.over_frame.graph] = spent_ms
        scores, stage_ms = self.run(patches, given)
        return scores, watch.stage_ms | tiles_ms | stage_ms

    def score_chosen(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Tensor]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part."""
        scores, _ = self.run(grid.cut_chosen(image, chosen))
        return scores

    def run(
        self, patches: NDArray, given: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Scores of patches `(n, patch_px, patch_px, 1)` by name, and the milliseconds by stage.

        Each score has shape `(n,)`; the time of a stage is summed over the workers.

        Parameters
        ----------
        patches
            The patches to score.
        given
            Tensors that are already computed, `(n, ...)`.
        """
        known = given or {}

        def run_batch(graphs: Graphs, start: int) -> tuple[dict[str, Tensor], dict[str, float]]:
            part = slice(start, start + self.batch)
            tensors = {name: values[part] for name, values in known.items()}
            return self._run_nodes(graphs, patches[part], tensors)

        parts = list(self._workers.map(run_batch, range(0, len(patches), self.batch)))
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
        self._workers.close()

    def _run_nodes(
        self, graphs: Graphs, patches: NDArray, given: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        watch = Stopwatch()
        scaled = scale_patches(patches, self._scaling)
        tensors = {**self._constants, "x": scaled, **given}
        watch.lap("scale")
        for node in self._nodes:
            if node.output in given:
                continue
            tensors[node.output] = run_node(
                node, tensors, lambda name, values: graphs[name].run(values)
            )
            watch.lap(node.graph)
        scores = {name: weighted_score(weights, tensors) for name, weights in self._scores.items()}
        watch.lap("score")
        return scores, watch.stage_ms
