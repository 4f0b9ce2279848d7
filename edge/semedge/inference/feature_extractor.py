"""A frame to the pretrained network's outputs, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.feature_network import STRIDE_PX, FeatureNetwork
from semedge.inference.frame_tiles import (
    Prepared,
    continued,
    cut_tile,
    magnified,
    prepare_frame,
    tile_values,
    used_places,
)
from semedge.inference.gray_statistics import GRAY, STATISTICS, gray_statistics
from semedge.inference.network_input import FeatureInput
from semedge.inference.tiling import Tiling, choose_tile

Array = NDArray[np.float32]


@dataclass(frozen=True)
class PreparedFrame:
    """A frame as tiles are cut from it.

    Attributes
    ----------
    shown
        What the network sees: the frame magnified, and continued on every side.
    gray
        Statistics of the gray values of each place `(rows, columns, 6)`; None where none are
        judged.
    """

    shown: Prepared
    gray: Array | None

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of places."""
        height, width = self.shown.shape[:2]
        return -(-height // STRIDE_PX), -(-width // STRIDE_PX)


@dataclass(frozen=True)
class TileFeatures:
    """What is known of a tile's places.

    Attributes
    ----------
    outputs
        The network's outputs and the gray statistics by name, for all places of the tile.
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
    network
        The network.
    frame_input
        How a frame becomes tiles.
    gray
        Whether gray statistics are wanted.
    """

    def __init__(self, network: FeatureNetwork, frame_input: FeatureInput, *, gray: bool) -> None:
        self.input = frame_input
        self._gray = gray
        self._network = network

    def prepare(self, image: GrayImage, pool: Executor) -> PreparedFrame:
        """The frame as tiles are cut from it; its gray statistics come from the pool's threads."""
        gray = pool.submit(self._gray_statistics, image) if self._gray else None
        shown = prepare_frame(image, self.input)
        return PreparedFrame(shown, None if gray is None else gray.result())

    def _gray_statistics(self, image: GrayImage) -> Array:
        margin_px = self.input.margin_px
        whole: Any = continued(magnified(image, self.input.magnification), (margin_px,) * 4)
        return gray_statistics(whole, STRIDE_PX)

    def inside(self, prepared: PreparedFrame) -> tuple[slice, slice]:
        """Rows and columns of the places that lie inside the frame, not in its margin."""
        first = self.input.margin_px // STRIDE_PX
        rows, columns = (
            slice(first, max(first + 1, (side_px - self.input.margin_px) // STRIDE_PX))
            for side_px in prepared.shown.shape[:2]
        )
        return rows, columns

    def tiles(self, prepared: PreparedFrame) -> Iterator[TileFeatures]:
        """What is known of each tile."""
        height, width = prepared.shown.shape[:2]
        tile_shape = _tile_for(height, width, self.input.overlap_px)
        for rows, columns in Tiling((height, width), tile_shape, self.input.overlap_px, STRIDE_PX):
            tile = tile_values(cut_tile(prepared.shown, rows, columns, tile_shape))
            spans = (rows, columns)
            first, second = (used_places(span, STRIDE_PX, origin_px=span.start) for span in spans)
            top, left = (used_places(span, STRIDE_PX) for span in spans)
            inner, target = (first, second), (top, left)
            outputs = self._network.run(tile)
            if prepared.gray is not None:
                outputs[GRAY] = _of_tile(prepared.gray, outputs["f6"].shape[:2], inner, target)
            yield TileFeatures(outputs, inner, target)


def _of_tile(
    gray: Array, shape: tuple[int, ...], inner: tuple[slice, slice], target: tuple[slice, slice]
) -> Array:
    """Gray statistics of a tile's places; 0 at those that another tile is used for."""
    statistics = np.zeros((*shape, STATISTICS), np.float32)
    statistics[inner] = gray[target]
    return statistics


@cache
def _tile_for(height: int, width: int, overlap_px: int) -> tuple[int, int]:
    """Height and width of the tiles that cover a frame with the least work."""
    return choose_tile((height, width), overlap_px, STRIDE_PX)
