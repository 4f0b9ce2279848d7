"""Scores of whole frames: one fully convolutional graph, run tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.core.timing import Stopwatch
from semedge.inference.bundle import Bundle
from semedge.inference.frame_tiles import (
    Prepared,
    cells_of,
    chosen_scores,
    cut_tile,
    grouped,
    prepare_frame,
    tile_values,
    used_places,
)
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph, worker_count
from semedge.inference.network_input import FrameInput
from semedge.inference.nodes import nodes_needed, run_node
from semedge.inference.scores import tensors_needed, weighted_score
from semedge.inference.scores.distances import Tensor
from semedge.inference.tiling import Span, Tiling

Shape = tuple[int, int]


class Network(Protocol):
    """A network: a `Graph`, or one that is not exported yet."""

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Output `(1, rows, columns, channels)` for an input of the same layout."""
        ...


class FrameScorer:
    """Scores of a bundle whose graphs take the frame as a whole.

    The graphs run on all workers' threads at once: most frames are one tile, and with two tiles
    half of the work would be the overlap.

    Parameters
    ----------
    bundle
        The bundle to run.
    scores
        Weights of each score to compute, by its name.
    workers
        Threads of the graphs; the usable cores where None.
    graphs
        Networks to run instead of the bundle's graphs, by the names of these.

    Attributes
    ----------
    batch
        Number of tiles that the graphs take at once.
    """

    batch = 1

    def __init__(
        self,
        bundle: Bundle,
        scores: Mapping[str, Mapping[str, float]],
        workers: int | None = None,
        graphs: Mapping[str, Network] | None = None,
    ) -> None:
        assert isinstance(bundle.manifest.input, FrameInput)
        self.bundle = bundle
        self.input: FrameInput = bundle.manifest.input
        self.workers = worker_count(workers)
        self._scores = scores
        self._constants = bundle.arrays()
        terms = {term for weights in scores.values() for term in weights}
        self._nodes = nodes_needed(bundle.manifest.nodes, tensors_needed(terms))
        self._graphs: Mapping[str, Network] = graphs or {
            node.graph: Graph(bundle.graph(node.graph), node.graph, threads=self.workers)
            for node in self._nodes
        }

    def score_image(
        self, image: GrayImage, grid: PatchGrid
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Scores of the grid's cells by name, each `(len(grid),)`, and milliseconds by stage.

        A cell's score is that of the score map at its centre, interpolated between its values.
        """
        watch = Stopwatch()
        prepared = prepare_frame(image, self.input)
        watch.lap("scale")
        maps = self._score_tiles(prepared, watch)
        cells = {
            name: cells_of(values, grid, self.input).reshape(-1) for name, values in maps.items()
        }
        watch.lap("score")
        return cells, watch.stage_ms

    def score_chosen(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Tensor]:
        """Scores of the chosen patches, see `semedge.inference.frame_tiles.chosen_scores`."""
        return chosen_scores(self.score_image, self.input.patch_px, image, grid, chosen)

    def close(self) -> None:
        """Do nothing: the graphs' threads end with them."""

    def _score_tiles(self, frame: Prepared, watch: Stopwatch) -> dict[str, NDArray[np.float32]]:
        """Score maps of the prepared frame, one value every stride, by name."""
        stride_px = self.input.feature_stride_px
        height, width = frame.shape
        tiling = Tiling((height, width), self.input.tile_shape, self.input.overlap_px, stride_px)
        shape = (-(-height // stride_px), -(-width // stride_px))
        maps = {name: np.empty(shape, np.float32) for name in self._scores}
        for rows, columns in tiling:
            tile = cut_tile(frame, rows, columns, self.input.tile_shape)
            scaled = tile_values(tile)
            watch.lap("scale")
            tensors = self._run_graphs(scaled, rows, columns, watch)
            target = tuple(used_places(span, stride_px) for span in (rows, columns))
            for name, weights in self._scores.items():
                part = weighted_score(weights, tensors)
                maps[name][target] = part.reshape(maps[name][target].shape)
            watch.lap("score")
        return maps

    def _run_graphs(
        self, tile: NDArray[np.float32], rows: Span, columns: Span, watch: Stopwatch
    ) -> dict[str, Tensor]:
        """Outputs of the graphs for the used positions of a tile, `(positions, channels)`."""
        stride_px = self.input.feature_stride_px
        inner = tuple(
            used_places(span, stride_px, origin_px=span.start) for span in (rows, columns)
        )
        tensors: dict[str, Tensor] = {"x": tile}
        for node in self._nodes:
            tensors[node.output] = run_node(
                node,
                {**self._constants, **tensors},
                lambda name, values: self._graphs[name].run(values),
            )
            watch.lap(node.graph)
        shape = tuple(side_px // stride_px for side_px in self.input.tile_shape)
        for node in self._nodes:
            values = grouped(tensors[node.output][0], (shape[0], shape[1]))[inner]
            tensors[node.output] = values.reshape(-1, values.shape[-1])
        return {**self._constants, **tensors}
