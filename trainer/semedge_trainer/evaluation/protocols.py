"""Which samples of a frame are judged, and which of them are anomalous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.grid import PatchGrid
from semedge_trainer.evaluation.scorer import AnyScorer, Scores

Mask = NDArray[np.bool_]

THESIS_PATCH_PX = 32
THESIS_STRIDE_PX = 16
THESIS_MOST_NORMAL_PX = 20
"""A patch with more anomalous pixels than this is anomalous, in the author's code."""


class EvaluationProtocol(Protocol):
    """Which samples of a frame are scored, and which of them are anomalous."""

    @property
    def name(self) -> str:
        """What results are filed under."""

    @property
    def stride_px(self) -> int:
        """Distance between patches."""

    def patch_px(self, scorer: AnyScorer) -> int:
        """Side of the patches that a scorer is asked for."""

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """Patches of a frame; they may lie in a part of it that starts at its upper left."""

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """Which samples are anomalous."""

    def regions(self, labels: Mask) -> NDArray[np.integer] | None:
        """Number of each anomalous sample's connected region; None where samples are no pixels."""

    def sample_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """Scores of the samples, of the shape of the labels."""


@dataclass(frozen=True)
class ThesisProtocol:
    """Samples are the patches of the thesis's author's code: stride 16, the borders left out.

    The thesis itself says only that patches are 32x32 px. Those of a detector with `patch_px=28`
    are cut and labelled by the same rule. They are other samples: the frame is cut down to other
    whole patches, and 20 mask pixels are a larger share of one. Figures of detectors whose patches
    differ compare by the pixel protocol.
    """

    name: str = "thesis"
    stride_px: int = THESIS_STRIDE_PX

    def patch_px(self, scorer: AnyScorer) -> int:
        """The scorer's own; the thesis's where the scorer takes whole frames, which have none."""
        return THESIS_PATCH_PX if scorer.whole_frames else scorer.patch_px

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """Patches of the frame cut down to whole patches, none snapped to the border.

        A frame of 696x1024 px has 41 x 63 = 2,583 patches of 32 px.
        """
        if patch_px < self.stride_px:
            raise SemedgeError(
                f"The thesis protocol needs patches of {self.stride_px} px or more, and the "
                f"detector has {patch_px} px; use the pixel protocol."
            )
        height, width = (length_px // patch_px * patch_px for length_px in frame_shape)
        height -= (height - patch_px) % self.stride_px
        width -= (width - patch_px) % self.stride_px
        return PatchGrid((height, width), patch_px, self.stride_px)

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """Whether more than 20 mask pixels of a patch are set, shape `(len(grid),)`."""
        patches = grid.cut(grid.crop(mask).astype(np.uint8))
        anomalous: Mask = patches.sum(axis=(1, 2, 3)) > THESIS_MOST_NORMAL_PX
        return anomalous

    def regions(self, labels: Mask) -> None:
        """None: a patch may hold parts of several regions."""

    def sample_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """The patch scores as they are."""
        return patch_scores


@dataclass(frozen=True)
class PixelProtocol:
    """Samples are all pixels of a frame; a pixel's score is the mean over its patches."""

    stride_px: int
    name: str = "pixel"

    def patch_px(self, scorer: AnyScorer) -> int:
        """The scorer's own."""
        return scorer.patch_px

    def grid(self, frame_shape: tuple[int, int], patch_px: int) -> PatchGrid:
        """The grid of the edge."""
        return PatchGrid(frame_shape, patch_px, self.stride_px)

    def labels(self, grid: PatchGrid, mask: Mask) -> Mask:
        """The mask."""
        return mask

    def regions(self, labels: Mask) -> NDArray[np.integer]:
        """Regions of pixels that touch, corners included."""
        _, numbers = cv2.connectedComponents(labels.astype(np.uint8), connectivity=8)
        return numbers.astype(np.int32, copy=False)[labels]

    def sample_scores(self, grid: PatchGrid, patch_scores: Scores) -> Scores:
        """The score map, shape of the frame."""
        return grid.to_pixels(patch_scores)
