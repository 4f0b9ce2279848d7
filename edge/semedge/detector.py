"""A detector scores a frame."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from semedge.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.errors import SemedgeError
from semedge.frame import Frame
from semedge.grid import PatchGrid
from semedge.interpreter import Graph, find_runtime
from semedge.nodes import nodes_needed, run_node
from semedge.scaling import scale_patches
from semedge.scores import Tensor, tensors_needed, weighted_score

BATCH = 32
"""Patches a batch where no graph sets it."""


@dataclass(frozen=True)
class ScoreMap:
    """Scores of a frame's patches.

    Attributes
    ----------
    grid
        Where the patches lie.
    patch_scores
        Shape `(len(grid),)`, float32.
    stage_ms
        Time spent in each stage, summed over the workers.
    """

    grid: PatchGrid
    patch_scores: NDArray[np.float32]
    stage_ms: Mapping[str, float]

    @property
    def frame_score(self) -> float:
        """Largest score of any patch: what the threshold is compared with."""
        return float(self.patch_scores.max())

    @property
    def peak_px(self) -> tuple[int, int]:
        """Centre `(x, y)` of the patch with the largest score."""
        row, column = np.unravel_index(int(self.patch_scores.argmax()), self.grid.shape)
        half = self.grid.patch_px // 2
        return int(self.grid.lefts[column]) + half, int(self.grid.tops[row]) + half

    def to_pixels(self) -> NDArray[np.float32]:
        """Score of every pixel, shape of the frame."""
        return self.grid.to_pixels(self.patch_scores)


class Detector:
    """A bundle ready to score frames, with one set of graphs a worker thread.

    Parameters
    ----------
    bundle
        What to run.
    stride_px
        Distance between patches; the bundle's own where None.
    workers
        Threads that score batches in parallel; the usable cores where None.
    score_name
        A score of the manifest's `scores`; the bundle's choice where None.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        stride_px: int | None = None,
        workers: int | None = None,
        score_name: str | None = None,
    ) -> None:
        manifest = bundle.manifest
        self.bundle = bundle
        self.patch_px = manifest.input.patch_px
        self.stride_px = manifest.stride_px if stride_px is None else stride_px
        self.workers = len(os.sched_getaffinity(0)) if workers is None else workers
        if self.workers < 1:
            raise SemedgeError(f"workers must be at least 1. Received: {workers}")
        self.score_name = manifest.score.name if score_name is None else score_name
        self.runtime, _ = find_runtime()
        self._weights = self._find_score()
        self._constants = bundle.arrays()
        self._nodes = nodes_needed(manifest.nodes, tensors_needed(self._weights))
        self._graph_sets: SimpleQueue[dict[str, Graph]] = SimpleQueue()
        for _ in range(self.workers):
            graphs = self._load_graphs()
            self._graph_sets.put(graphs)
        self._batch = min(graph.batch for graph in graphs.values()) if graphs else BATCH
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="score")
        self._grid: PatchGrid | None = None
        self._check_graphs()

    @classmethod
    def load(
        cls,
        path: Path | None,
        *,
        stride_px: int | None = None,
        workers: int | None = None,
        score_name: str | None = None,
    ) -> Detector:
        """Read the bundle at `path`, or the demo detector where it is None."""
        bundle = read_demo_bundle() if path is None else read_bundle(path)
        return cls(bundle, stride_px=stride_px, workers=workers, score_name=score_name)

    def score(self, frame: Frame) -> ScoreMap:
        """Cut the frame, run the graphs on every patch, and lay the scores out.

        Raises `SemedgeError` where the frame is smaller than a patch, or a score is no number.
        """
        started = time.perf_counter()
        grid = self._grid_for(frame.shape)
        patches = grid.cut(frame.image)
        cut_s = time.perf_counter() - started
        batches = range(0, len(grid), self._batch)
        results = list(
            self._pool.map(lambda at: self._score_batch(patches[at : at + self._batch]), batches)
        )
        stage_ms = {"cut": cut_s * 1e3}
        for _, batch_ms in results:
            for stage, spent_ms in batch_ms.items():
                stage_ms[stage] = stage_ms.get(stage, 0.0) + spent_ms
        patch_scores = np.concatenate([scores for scores, _ in results])
        if not np.isfinite(patch_scores).all():
            raise SemedgeError(
                f"{self.bundle.name} gives patches of {frame.source} a score that is no number; "
                "export the detector again."
            )
        return ScoreMap(grid, patch_scores, stage_ms)

    def close(self) -> None:
        """End the worker threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _find_score(self) -> dict[str, float]:
        manifest = self.bundle.manifest
        if self.score_name == manifest.score.name:
            return manifest.score.weights
        if self.score_name not in manifest.scores:
            raise SemedgeError(
                f"{self.bundle.name} has no score {self.score_name!r}; it has "
                f"{', '.join(sorted(manifest.scores))}."
            )
        return manifest.scores[self.score_name]

    def _load_graphs(self) -> dict[str, Graph]:
        names = {node.graph for node in self._nodes}
        return {name: Graph(self.bundle.graph(name), name) for name in sorted(names)}

    def _check_graphs(self) -> None:
        """Score a blank patch, so that graphs and arrays that do not fit are refused at once."""
        blank = np.zeros((1, self.patch_px, self.patch_px, 1), np.uint8)
        try:
            scores, _ = self._score_batch(blank)
            fits = scores.shape == (1,)
        except (ValueError, RuntimeError):
            fits = False
        if not fits:
            self.close()
            raise SemedgeError(
                f"The graphs and arrays of {self.bundle.name} do not fit together, or not its "
                f"patches of {self.patch_px}x{self.patch_px} px; export the detector again."
            )

    def _grid_for(self, frame_shape: tuple[int, int]) -> PatchGrid:
        if self._grid is None or self._grid.frame_shape != frame_shape:
            self._grid = PatchGrid(frame_shape, self.patch_px, self.stride_px)
        return self._grid

    def _score_batch(self, patches: NDArray) -> tuple[Tensor, dict[str, float]]:
        graphs = self._graph_sets.get(timeout=60)
        try:
            return self._run_nodes(graphs, patches)
        finally:
            self._graph_sets.put(graphs)

    def _run_nodes(
        self, graphs: Mapping[str, Graph], patches: NDArray
    ) -> tuple[Tensor, dict[str, float]]:
        stage_ms: dict[str, float] = {}
        clock = time.perf_counter()

        def spent(stage: str) -> None:
            nonlocal clock
            now = time.perf_counter()
            stage_ms[stage] = stage_ms.get(stage, 0.0) + (now - clock) * 1e3
            clock = now

        tensors = {
            **self._constants,
            "x": scale_patches(patches, self.bundle.manifest.input.scaling),
        }
        spent("scale")
        for node in self._nodes:
            tensors[node.output] = run_node(
                node, tensors, lambda name, values: graphs[name].run(values)
            )
            spent(node.graph)
        scores = weighted_score(self._weights, tensors)
        spent("score")
        return scores, stage_ms
