"""Scores of whole frames: one fully convolutional graph, run tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.core.timing import Stopwatch
from semedge.inference.bundle import Bundle
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph, worker_count
from semedge.inference.manifest import FrameInput
from semedge.inference.nodes import nodes_needed, run_node
from semedge.inference.scaling import scale_locally, scale_patches
from semedge.inference.scores import tensors_needed, weighted_score
from semedge.inference.scores.distances import Tensor
from semedge.inference.tiling import Span, Tiling

Shape = tuple[int, int]
Prepared = GrayImage | NDArray[np.float32]
"""A frame ready to be cut into tiles: gray values, or scaled values."""


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
        """Scores of the chosen patches of a grid that covers the frame's upper left part.

        The score of a patch is the highest of the cells that lie in it.
        """
        height, width = image.shape
        cell_px = self.input.patch_px
        cells = PatchGrid((height, width), cell_px, min(cell_px, grid.stride_px))
        by_cell, _ = self.score_image(image, cells)
        if grid == cells:
            return {name: values[chosen] for name, values in by_cell.items()}
        scores = {}
        for name, values in by_cell.items():
            pixels: Any = grid.crop(cells.to_pixels(values))
            scores[name] = grid.cut(pixels)[chosen].max(axis=(1, 2, 3))
        return scores

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
            target = tuple(_used(span, stride_px) for span in (rows, columns))
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
        inner = tuple(_used(span, stride_px, origin_px=span.start) for span in (rows, columns))
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


def grouped(features: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Features of a finer map, grouped by the `shape` places that they lie in.

    Parameters
    ----------
    features
        Shape `(k * rows, k * columns, channels)`.
    shape
        Rows and columns.

    Returns
    -------
    NDArray
        Shape `(rows, columns, k * k * channels)`; the same features where k is 1.
    """
    rows, columns = shape
    finer = features.shape[0] // rows
    if finer == 1:
        return features
    blocks = features.reshape(rows, finer, columns, finer, -1).swapaxes(1, 2)
    return blocks.reshape(rows, columns, -1)


def prepare_frame(image: GrayImage, frame_input: FrameInput) -> Prepared:
    """The frame magnified, and extended by reflection on every side.

    The pixel type stays, unless the frame is scaled by the surroundings of each pixel.
    """
    prepared: Any = scale_locally(image) if frame_input.scaling == "local" else image
    if frame_input.magnification != 1:
        height, width = (max(1, round(side * frame_input.magnification)) for side in image.shape)
        how = cv2.INTER_AREA if frame_input.magnification < 1 else cv2.INTER_LINEAR
        prepared = cv2.resize(prepared, (width, height), interpolation=how)
    margin = frame_input.margin_px
    return continued(prepared, (margin, margin, margin, margin))


def tile_values(tile: Prepared) -> NDArray[np.float32]:
    """A tile of the prepared frame as a graph takes it, `(1, height, width, 1)`."""
    batch: Any = tile[None, ..., None]
    scaled: NDArray[np.float32] = (
        batch if batch.dtype == np.float32 else scale_patches(batch, "range")
    )
    return scaled


def continued(image: Prepared, sides_px: tuple[int, int, int, int]) -> Prepared:
    """The image extended by reflection above, below, on the left and on the right."""
    if not any(sides_px):
        return image
    top, bottom, left, right = sides_px
    longer: Any = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    return longer


def cut_tile(frame: Prepared, rows: Span, columns: Span, tile_shape: Shape) -> Prepared:
    """A tile of the prepared frame; what lies beyond the frame is its reflection."""
    part = frame[rows.start : rows.stop, columns.start : columns.stop]
    below, right = (side - shown for side, shown in zip(tile_shape, part.shape, strict=True))
    return continued(part, (0, below, 0, right))


def cells_of(
    score_map: NDArray[np.float32], grid: PatchGrid, frame_input: FrameInput
) -> NDArray[np.float32]:
    """Scores of the grid's cells `(rows, columns)` from a map with a value every stride."""
    rows, columns = (
        _positions(_judged_at(starts + grid.patch_px / 2, side_px, frame_input), frame_input)
        for starts, side_px in zip((grid.tops, grid.lefts), grid.frame_shape, strict=True)
    )
    across = np.broadcast_to(columns, grid.shape)
    down = np.broadcast_to(rows[:, None], grid.shape)
    cells: Any = cv2.remap(
        score_map,
        np.ascontiguousarray(across),
        np.ascontiguousarray(down),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if frame_input.smoothing_px:
        sigma = frame_input.smoothing_px / grid.stride_px
        cells = cv2.GaussianBlur(cells, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    smoothed: NDArray[np.float32] = cells
    return smoothed


def _judged_at(
    centres_px: NDArray[np.floating], side_px: int, frame_input: FrameInput
) -> NDArray[np.floating]:
    """Positions along a side of the frame from which the scores of the cells are taken."""
    border_px = min(frame_input.border_px, side_px / 2)
    return np.clip(centres_px, border_px, side_px - border_px)


def _positions(centres_px: NDArray[np.floating], frame_input: FrameInput) -> NDArray[np.float32]:
    """Positions of the frame's pixels in units of the map's values."""
    network_px = centres_px * frame_input.magnification + frame_input.margin_px
    positions: NDArray[np.float32] = (network_px / frame_input.feature_stride_px - 0.5).astype(
        np.float32
    )
    return positions


def _used(span: Span, stride_px: int, origin_px: int = 0) -> slice:
    return slice(
        (span.used_start - origin_px) // stride_px, -(-(span.used_stop - origin_px) // stride_px)
    )
