"""A frame to the pretrained network's outputs, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.core.images import to_gray
from semedge.inference.colour_statistics import COLOUR, colour_statistics
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
from semedge.inference.gray_statistics import GRAY, gray_statistics
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
    statistics
        Statistics of each place `(rows, columns, n)` that are judged: of gray values, of colours.
    """

    shown: Prepared
    statistics: Mapping[str, Array]

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
        The network's outputs and the statistics by name, for all places of the tile.
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
    gray, colour
        Whether statistics of gray values and of colours are wanted.
    """

    def __init__(
        self, network: FeatureNetwork, frame_input: FeatureInput, *, gray: bool, colour: bool
    ) -> None:
        self.input = frame_input
        self._wanted = {GRAY: gray, COLOUR: colour}
        self._network = network

    def prepare(self, picture: AnyImage, pool: Executor) -> PreparedFrame:
        """The frame as tiles are cut from it; its statistics come from the pool's threads."""
        image = to_gray(picture)
        sources = {GRAY: (gray_statistics, image), COLOUR: (colour_statistics, picture)}
        begun = {
            name: pool.submit(self._statistics, *sources[name])
            for name, wanted in self._wanted.items()
            if wanted
        }
        shown = prepare_frame(image, self.input)
        return PreparedFrame(shown, {name: each.result() for name, each in begun.items()})

    def _statistics(self, measure: Callable[[Any, int], Array], picture: AnyImage) -> Array:
        margin_px = self.input.margin_px
        whole = continued(magnified(picture, self.input.magnification), (margin_px,) * 4)
        return measure(whole, STRIDE_PX)

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
            for name, statistics in prepared.statistics.items():
                outputs[name] = _of_tile(statistics, outputs["f6"].shape[:2], inner, target)
            yield TileFeatures(outputs, inner, target)


def _of_tile(
    statistics: Array,
    shape: tuple[int, ...],
    inner: tuple[slice, slice],
    target: tuple[slice, slice],
) -> Array:
    """Statistics of a tile's places; 0 at those that another tile is used for."""
    of_tile = np.zeros((*shape, statistics.shape[-1]), np.float32)
    of_tile[inner] = statistics[target]
    return of_tile


@cache
def _tile_for(height: int, width: int, overlap_px: int) -> tuple[int, int]:
    """Height and width of the tiles that cover a frame with the least work."""
    return choose_tile((height, width), overlap_px, STRIDE_PX)
