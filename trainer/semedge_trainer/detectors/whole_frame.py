"""What every detector of whole frames is made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.inference.manifest import FrameInput
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.base import Networks, Schedule, TrainableDetector

Array = NDArray[np.float32]

LARGEST_TILE_PX = 2_000_000
"""Pixels of the network's input above which a frame is scored in tiles; about 100 MB to run."""
MOST_TILES_A_SIDE = 16


class FrameDetector(TrainableDetector):
    """A detector whose network takes the frame as a whole; it is fitted in one go, in minutes.

    Everything that it needs to know of a frame is `frame_input`: how the frame becomes the
    network's input, and the network's output a score map.
    """

    schedules: ClassVar[Mapping[str, Schedule]] = {"fast": Schedule({"fit": 1}, {}, 1)}
    patch_px: ClassVar[int] = 32
    """Smallest side of a training frame."""

    @abstractmethod
    def fit_frames(
        self,
        networks: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int] | None = None,
    ) -> dict[str, Array]:
        """Arrays that the scores need, from normal frames of any size, uint8 or uint16.

        Networks that take tiles of one size only are given the first tile of each frame.
        """

    def refit(
        self,
        fitted: Mapping[str, Array],
        graphs: Mapping[str, Any],
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int],
    ) -> dict[str, Array]:
        """The arrays that suit int8 graphs, whose rounding adds noise; `fitted` are the old ones.

        What varies little drowns in that noise, unless the fit knows of it.
        """
        return self.fit_frames(graphs, images, tile_shape)

    @abstractmethod
    def frame_input(self, tile_shape: tuple[int, int] = (16, 16)) -> FrameInput:
        """How a frame becomes the network's input, for tiles of `tile_shape`."""

    @abstractmethod
    def networks_for(self, networks: Networks, tile_shape: tuple[int, int]) -> dict[str, Network]:
        """The networks with their inputs fixed to what comes of a tile."""


def choose_tile(
    frame_shape: tuple[int, int], overlap_px: int, step_px: int, largest_px: int = LARGEST_TILE_PX
) -> tuple[int, int]:
    """Height and width of the tile that covers frames of a shape with the least work.

    Parameters
    ----------
    frame_shape
        Height and width of the largest frame, as the network sees it.
    overlap_px, step_px
        As in `semedge.inference.tiling.Tiling`.
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
    return int(np.ceil(side_px / step_px)) * step_px
