"""How a frame looks, independent of its content: its gray values and its sharpness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import Frame
from semedge_calibration import Appearance

SHARPNESS_SIDE_PX = 384
"""Side of the square in the middle of a frame in which its sharpness is measured."""

SUBSAMPLED_SIDE_PX = 256
"""The shorter side of a large frame is subsampled to this length, or to less than twice of it."""

FILTER_PX = 9
"""Side of the pixels that the filters of the sharpness reach."""

BRIGHT_SHARE = 0.99
WHITE = 0.98
"""Least gray value of a saturated pixel, as a share of the pixel type's range."""

NO_CONTRAST = 1e-4
"""Deviation of gray values, as a share of the range, below which sharpness is undefined."""


@dataclass(frozen=True)
class FrameAppearance:
    """Measurements of one frame; gray values are shares of the pixel type's range.

    Attributes
    ----------
    mean_gray
        Mean gray value.
    bright_gray
        Its 99th percentile.
    saturated
        Share of the pixels that are white.
    sharpness
        Deviation of the smoothed picture's Laplacian, divided by the deviation of its gray values:
        independent of brightness and contrast, and lower with every blur. 0 where there is no
        contrast.
    """

    mean_gray: float
    bright_gray: float
    saturated: float
    sharpness: float


def measure_frame(frame: Frame) -> FrameAppearance:
    """Measure what is inspected of a frame, in a large one every second, third, ... row and column.

    Where little of the middle is inspected, the sharpness is that of the whole middle.
    """
    grays = subsampled(frame)
    return FrameAppearance(
        mean_gray=float(grays.mean()),
        bright_gray=_bright(grays),
        saturated=float((grays >= WHITE).mean()),
        sharpness=_sharpness(frame),
    )


def subsampled(frame: Frame) -> NDArray[np.float32]:
    """Gray values from 0 to 1 of the rows and columns that are measured.

    Shape `(rows, columns)`, or `(pixels,)` where a part of the frame is left out.
    """
    every = max(1, min(frame.shape) // SUBSAMPLED_SIDE_PX)
    grays = frame.image[::every, ::every].astype(np.float32)
    grays /= frame.full_scale
    if frame.left_out is not None:
        inspected = grays[~frame.left_out[::every, ::every]]
        return inspected if inspected.size else grays.reshape(-1)
    return grays


def common_appearance(frames: Iterable[FrameAppearance]) -> Appearance:
    """The range of each measure over frames of normal material."""
    means, brights, saturated, sharpness = zip(
        *((each.mean_gray, each.bright_gray, each.saturated, each.sharpness) for each in frames),
        strict=True,
    )
    return Appearance(
        lowest_mean_gray=min(means),
        highest_mean_gray=max(means),
        lowest_bright_gray=min(brights),
        highest_saturated=max(saturated),
        lowest_sharpness=min(sharpness),
    )


def _bright(grays: NDArray[np.float32]) -> float:
    """The value that `BRIGHT_SHARE` of the pixels do not exceed."""
    rank = int(BRIGHT_SHARE * (grays.size - 1))
    return float(np.partition(grays.reshape(-1), rank)[rank])


def _sharpness(frame: Frame) -> float:
    height, width = frame.shape
    top, left = (max(0, side - SHARPNESS_SIDE_PX) // 2 for side in (height, width))
    middle = frame.image[top : top + SHARPNESS_SIDE_PX, left : left + SHARPNESS_SIDE_PX]
    grays = middle.astype(np.float32)
    inspected = None
    if frame.left_out is not None:
        left_out = frame.left_out[top : top + SHARPNESS_SIDE_PX, left : left + SHARPNESS_SIDE_PX]
        inspected = _away_from(left_out)
    contrast = _deviation(grays, inspected)
    if contrast < NO_CONTRAST * frame.full_scale:
        return 0.0
    # Smoothed first, because noise has sharp edges too.
    smooth = cv2.GaussianBlur(grays, (5, 5), 1.0)
    return _deviation(cv2.Laplacian(smooth, cv2.CV_32F), inspected) / contrast


def _away_from(left_out: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """1 where no edge of what is left out reaches; None where that is nowhere."""
    kernel = np.ones((FILTER_PX, FILTER_PX), np.uint8)
    inspected = cv2.erode((~left_out).astype(np.uint8), kernel).astype(np.uint8)
    return inspected if inspected.any() else None


def _deviation(values: NDArray, inspected: NDArray[np.uint8] | None) -> float:
    return float(cv2.meanStdDev(values, mask=inspected)[1][0, 0])
