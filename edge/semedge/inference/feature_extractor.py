"""A frame to the pretrained network's outputs, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.feature_network import STRIDE_PX, FeatureNetwork
from semedge.inference.frame_tiles import (
    Prepared,
    cut_tile,
    prepare_frame,
    tile_values,
    used_places,
)
from semedge.inference.network_input import FeatureInput
from semedge.inference.tiling import Tiling, choose_tile

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TileFeatures:
    """What the network gives for a tile.

    Attributes
    ----------
    outputs
        By name, for all places of the tile.
    inner
        Rows and columns of the tile's places that are used; others are another tile's.
    target
        Where these lie among the places of the frame with its margin.
    """

    outputs: Mapping[str, Array]
    inner: tuple[slice, slice]
    target: tuple[slice, slice]


class FeatureExtractor:
    """The network, and how a frame is shown to it.

    Parameters
    ----------
    content
        The network's graph.
    frame_input
        How a frame becomes tiles.
    threads
        Threads of the graph.
    """

    def __init__(self, content: bytes, frame_input: FeatureInput, threads: int) -> None:
        self.input = frame_input
        self._network = FeatureNetwork(content, threads=threads)

    def prepare(self, image: GrayImage) -> Prepared:
        """The frame as tiles are cut from it: magnified, and continued on every side."""
        return prepare_frame(image, self.input)

    def places(self, prepared: Prepared) -> tuple[int, int]:
        """Rows and columns of places in the prepared frame."""
        height, width = prepared.shape[:2]
        return -(-height // STRIDE_PX), -(-width // STRIDE_PX)

    def inside(self, prepared: Prepared) -> tuple[slice, slice]:
        """Rows and columns of the places that lie inside the frame, not in its margin."""
        first = self.input.margin_px // STRIDE_PX
        rows, columns = (
            slice(first, max(first + 1, (side_px - self.input.margin_px) // STRIDE_PX))
            for side_px in prepared.shape[:2]
        )
        return rows, columns

    def tiles(self, prepared: Prepared) -> Iterator[TileFeatures]:
        """The network's outputs for each tile."""
        height, width = prepared.shape[:2]
        tile_shape = _tile_for(height, width, self.input.overlap_px)
        for rows, columns in Tiling((height, width), tile_shape, self.input.overlap_px, STRIDE_PX):
            tile = tile_values(cut_tile(prepared, rows, columns, tile_shape))
            spans = (rows, columns)
            first, second = (used_places(span, STRIDE_PX, origin_px=span.start) for span in spans)
            top, left = (used_places(span, STRIDE_PX) for span in spans)
            yield TileFeatures(self._network.run(tile), (first, second), (top, left))


@cache
def _tile_for(height: int, width: int, overlap_px: int) -> tuple[int, int]:
    """Height and width of the tiles that cover a frame with the least work."""
    return choose_tile((height, width), overlap_px, STRIDE_PX)
