"""A network of patches, run fully convolutionally on tiles of the frame.

A network without padding gives a patch the same output wherever it lies in a larger image. Run on
a tile, it gives the outputs of all patches at multiples of the stride, and overlapping patches
share its convolutions. Where the last row or column of patches is snapped to the frame's border, it
may lie between those multiples; its patches go through the network one by one, with the same
result.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.grid import PatchGrid
from semedge.inference.manifest import Node, TileNetwork
from semedge.inference.nodes import run_node
from semedge.inference.scaling import scale_patches
from semedge.inference.scores.distances import Tensor
from semedge.inference.tiling import Span, Tiling
from semedge.inference.worker_pool import Graphs, Workers

Spans = tuple[Span, Span]


@dataclass(frozen=True)
class FrameNode:
    """A node of patches, run fully convolutionally on one frame.

    Attributes
    ----------
    node
        The node, whose only input is the patches `x`.
    tile_network
        The network of the node for tiles.
    constants
        The bundle's arrays, which include the scales of the node.
    grid
        Grid of the frame's patches, with the stride of the network for tiles.
    """

    node: Node
    tile_network: TileNetwork
    constants: Mapping[str, Tensor]
    grid: PatchGrid

    def run(self, workers: Workers, image: GrayImage, patches: GrayImage) -> tuple[Tensor, float]:
        """The node's output for every patch, `(len(grid), ...)`, and milliseconds of all workers.

        Parameters
        ----------
        workers
            Workers with both graphs of the node.
        image, patches
            The frame, and the patches that the grid cuts out of it.
        """
        batch = workers.batch(self.node.graph)
        alone = self.places_off_the_lattice()
        batches = [alone[at : at + batch] for at in range(0, len(alone), batch)]
        tiles = list(self.tiles())
        by_tile = workers.map(lambda graphs, spans: self._run_tile(graphs, image, spans), tiles)
        by_batch = workers.map(
            lambda graphs, places: self._run(graphs, self.node.graph, patches[places]), batches
        )
        output: Tensor | None = None
        spent_ms = 0.0
        for (rows, columns), (part, tile_ms) in zip(tiles, by_tile, strict=True):
            if output is None:
                output = np.empty((*self.grid.shape, *part.shape[2:]), np.float32)
            output[rows.used_start : rows.used_stop, columns.used_start : columns.used_stop] = part
            spent_ms += tile_ms
        assert output is not None
        flat: Tensor = output.reshape(len(self.grid), *output.shape[2:])
        for places, (values, batch_ms) in zip(batches, by_batch, strict=True):
            flat[places] = values
            spent_ms += batch_ms
        return flat, spent_ms

    def tiles(self) -> Tiling:
        """Tiles in rows and columns of patches; each patch is used from one of them."""
        return Tiling(self._lattice(self.grid.frame_shape), self._patches_a_tile(), 0, 1)

    def places_off_the_lattice(self) -> NDArray[np.intp]:
        """Indices of the patches that do not lie at multiples of the stride."""
        rows, columns = self._lattice(self.grid.frame_shape)
        off = np.ones(self.grid.shape, np.bool_)
        off[:rows, :columns] = False
        return np.flatnonzero(off)

    def _lattice(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches at multiples of the stride in an image."""
        patch_px, stride_px = self.grid.patch_px, self.grid.stride_px
        height, width = shape
        return (height - patch_px) // stride_px + 1, (width - patch_px) // stride_px + 1

    def _patches_a_tile(self) -> tuple[int, int]:
        return self._lattice(self.tile_network.tile_shape)

    def _run_tile(self, graphs: Graphs, image: GrayImage, spans: Spans) -> tuple[Tensor, float]:
        """Output of the patches that are used from a tile, `(rows, columns, ...)`, and its time.

        Beyond the frame a tile is zero, which affects none of these patches.
        """
        height, width = self.tile_network.tile_shape
        top, left = (span.start * self.grid.stride_px for span in spans)
        shown = image[top : top + height, left : left + width]
        tile = np.zeros((1, height, width, 1), image.dtype)
        tile[0, : shown.shape[0], : shown.shape[1], 0] = shown
        values, spent_ms = self._run(graphs, self.tile_network.graph, tile)
        used = tuple(slice(s.used_start - s.start, s.used_stop - s.start) for s in spans)
        part: Tensor = values.reshape(*self._patches_a_tile(), *values.shape[1:])[used]
        return part, spent_ms

    def _run(self, graphs: Graphs, graph: str, images: GrayImage) -> tuple[Tensor, float]:
        since = time.perf_counter()
        tensors = {**self.constants, "x": scale_patches(images, "range")}
        values = run_node(self.node, tensors, lambda _, each: graphs[graph].run(each))
        return values, (time.perf_counter() - since) * 1e3
