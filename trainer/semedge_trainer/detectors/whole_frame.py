"""What every detector of whole frames is made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.network_input import FrameInput
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.base import Networks, Schedule, TrainableDetector

Array = NDArray[np.float32]


class FrameDetector(TrainableDetector):
    """A detector whose network takes the frame as a whole; it is fitted in one go, in minutes.

    Everything that it needs to know of a frame is `frame_input`: how the frame becomes the
    network's input, and the network's output a score map.
    """

    schedules: ClassVar[Mapping[str, Schedule]] = {"fast": Schedule({"fit": 1}, {}, 1)}
    patch_px: int = 32
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
