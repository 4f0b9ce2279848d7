"""The inputs of networks: patches, and whole frames."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from semedge.inference.record import Record
from semedge.inference.scaling import FrameScaling, Scaling


class PatchInput(Record):
    """The input of networks of patches: square gray patches, scaled to [-1, 1]."""

    patch_px: int = Field(ge=1, le=1024)
    channels: Literal[1] = 1
    scaling: Scaling = "range"


class FrameGeometry(Record):
    """How a network takes a whole frame, and how its output becomes scores of cells.

    Lengths of the overlap and the margin are in the network's pixels, of which a pixel of the frame
    has `magnification`; the others are in pixels of the frame.

    Attributes
    ----------
    overlap_px
        Receptive field of a value to each side, which is discarded where tiles meet.
    feature_stride_px
        Distance between neighbouring values of the graph's output.
    margin_px
        Width by which the frame is extended by reflection on every side.
    cell_px
        Side of the cells, each of which has one score.
    smoothing_px
        Standard deviation of the Gaussian that the score map is smoothed with.
    border_px
        Cells nearer to the frame's border than this get the score of the nearest cell that is
        not: a network finds a texture anomalous where it is mirrored at the border.
    scaling
        `range`: the pixel type's range becomes [-1, 1]; `local`: by the surroundings' mean and
        standard deviation, see `semedge.inference.scaling.scale_locally`.
    """

    overlap_px: int = Field(ge=0, le=4096)
    feature_stride_px: int = Field(ge=1, le=64)
    magnification: float = Field(default=1.0, ge=0.1, le=8.0)
    margin_px: int = Field(default=0, ge=0, le=512)
    cell_px: int = Field(ge=1, le=64)
    smoothing_px: float = Field(default=0.0, ge=0, le=256)
    border_px: float = Field(default=0.0, ge=0, le=256)
    scaling: FrameScaling = "range"

    @property
    def patch_px(self) -> int:
        """Side of a cell, which has one score."""
        return self.cell_px

    @property
    def reach_px(self) -> int:
        """Pixels of the frame beyond a cell that its score may depend on."""
        return math.ceil(self.overlap_px / self.magnification + 2 * self.smoothing_px)


class FrameInput(FrameGeometry):
    """The input of a network of whole frames: a tile of the frame, gray values in [-1, 1].

    Attributes
    ----------
    tile_height_px, tile_width_px
        Size of the input of the graph, in the network's pixels.
    """

    tile_height_px: int = Field(ge=16, le=8192)
    tile_width_px: int = Field(ge=16, le=8192)

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of a tile."""
        return self.tile_height_px, self.tile_width_px


class FeatureInput(FrameGeometry):
    """The input of the pretrained network of features, whose tiles may have any size.

    Attributes
    ----------
    network
        The network that gives the features.
    frame_height_px, frame_width_px
        Size of the frames of which the detector knows the normal score of each position; None
        where it knows none, so that frames may have any size.
    """

    network: Literal["efficientnet-lite0"]
    frame_height_px: int | None = Field(default=None, ge=1)
    frame_width_px: int | None = Field(default=None, ge=1)

    @property
    def frame_shape(self) -> tuple[int, int] | None:
        """Height and width of the frames whose positions the detector knows."""
        if self.frame_height_px is None or self.frame_width_px is None:
            return None
        return self.frame_height_px, self.frame_width_px
