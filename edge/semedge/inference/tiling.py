"""Seamless tiles of a frame that is larger than the input of a graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from semedge.core.errors import SemedgeError

LARGEST_TILE_PX = 2_000_000
"""Pixels of the network's input above which a frame is scored in tiles; about 100 MB to run."""
MOST_TILES_A_SIDE = 16


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels of the frame.

    Attributes
    ----------
    start, stop
        Part of the frame in the tile, up to `tile_px` pixels. The rest of the tile lies beyond the
        frame.
    used_start, used_stop
        The part whose values are used; the spans of an axis use each pixel once.
    """

    start: int
    stop: int
    used_start: int
    used_stop: int


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size that cover a frame, neighbours overlapping.

    Values within `overlap_px` of an inner border are computed but discarded, because the network
    lacks part of their surroundings there. Tiles start at multiples of `step_px`, the network's
    stride, so that all tiles sample the frame with the same phase, and the last one snaps to the
    border, so that the border is the same as in one large tile.

    Attributes
    ----------
    frame_shape, tile_shape
        Height and width in pixels.
    overlap_px
        Width that is discarded at each inner border.
    step_px
        The network's stride; sides of tiles are multiples of it.

    Examples
    --------
    >>> tiling = Tiling((64, 192), (64, 128), overlap_px=16, step_px=16)
    >>> [(column.start, column.used_start, column.used_stop) for _, column in tiling]
    [(0, 0, 112), (64, 112, 192)]
    """

    frame_shape: tuple[int, int]
    tile_shape: tuple[int, int]
    overlap_px: int
    step_px: int

    def __post_init__(self) -> None:
        if any(side_px % self.step_px for side_px in (*self.tile_shape, self.overlap_px)):
            raise SemedgeError(
                f"Sides of tiles and their overlap must be multiples of {self.step_px} px. "
                f"Received: {self.tile_shape[1]}x{self.tile_shape[0]} px, {self.overlap_px} px"
            )
        for length_px, side_px in zip(self.frame_shape, self.tile_shape, strict=True):
            if length_px > side_px and side_px <= 2 * self.overlap_px:
                raise SemedgeError(
                    f"A frame of {self.frame_shape[1]}x{self.frame_shape[0]} px does not fit into "
                    f"tiles of {self.tile_shape[1]}x{self.tile_shape[0]} px with an overlap of "
                    f"{self.overlap_px} px; export the detector with larger tiles."
                )

    def __iter__(self) -> Iterator[tuple[Span, Span]]:
        """Rows' and columns' span of every tile, row by row."""
        rows, columns = (
            _spans(length_px, side_px, self.overlap_px, self.step_px)
            for length_px, side_px in zip(self.frame_shape, self.tile_shape, strict=True)
        )
        for row in rows:
            for column in columns:
                yield row, column

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _spans(length_px: int, tile_px: int, overlap_px: int, step_px: int) -> list[Span]:
    """Tiles along one axis; the last one ends where the frame, in whole steps, ends."""
    padded_px = -(-length_px // step_px) * step_px
    last_start = max(0, padded_px - tile_px)
    advance_px = max(step_px, tile_px - 2 * overlap_px)
    starts = [*range(0, last_start, advance_px), last_start]
    used_stops = [start + tile_px - overlap_px for start in starts[:-1]] + [length_px]
    used_starts = [0, *used_stops[:-1]]
    return [
        Span(start, min(start + tile_px, length_px), used_start, used_stop)
        for start, used_start, used_stop in zip(starts, used_starts, used_stops, strict=True)
    ]


def choose_tile(
    frame_shape: tuple[int, int], overlap_px: int, step_px: int, largest_px: int = LARGEST_TILE_PX
) -> tuple[int, int]:
    """Height and width of the tile that covers frames of a shape with the least work.

    Parameters
    ----------
    frame_shape
        Height and width of the largest frame, as the network sees it.
    overlap_px, step_px
        As in `Tiling`.
    largest_px
        Area that a tile may have.
    """
    choices = []
    for rows in range(1, MOST_TILES_A_SIDE + 1):
        for columns in range(1, MOST_TILES_A_SIDE + 1):
            tile = tuple(
                _tile_side(length, count, overlap_px, step_px)
                for length, count in zip(frame_shape, (rows, columns), strict=True)
            )
            area = tile[0] * tile[1]
            advances = all(
                side > 2 * overlap_px or count == 1
                for side, count in zip(tile, (rows, columns), strict=True)
            )
            if area <= largest_px and advances:
                choices.append((rows * columns * area, rows * columns, (tile[0], tile[1])))
    if not choices:
        raise SemedgeError(
            f"Frames of {frame_shape[1]}x{frame_shape[0]} px, as the network sees them, cannot be "
            f"covered by tiles of at most {largest_px:,} px; use smaller frames or a smaller "
            "magnification."
        )
    return min(choices)[2]


def _tile_side(length_px: int, count: int, overlap_px: int, step_px: int) -> int:
    side_px = (length_px + 2 * (count - 1) * overlap_px) / count
    return math.ceil(side_px / step_px) * step_px
