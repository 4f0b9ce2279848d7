"""What each place's gray values are like: how bright, how rich in contrast, and how sharp.

A network that was trained on things sees edges and textures, and hardly an even gray where the
texture should be. These statistics see it, and are cheap.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.place_statistics import place_statistics

Array = NDArray[np.float32]

GRAY = "gray"
"""Name of the statistics among the network's outputs."""
STATISTICS = 6
"""Mean, contrast and sharpness of each place, and of the 3x3 places around it."""
HALO_PX = 2
"""How far the blur and the Laplacian reach."""
LEAST_VARIANCE = 1e-5
LEAST_CONTRAST = 0.01
LEAST_SHARPNESS = 0.005
"""Shares of the range of gray values that differences below them are small against."""


def gray_statistics(image: GrayImage, stride_px: int) -> Array:
    """Statistics `(rows, columns, 6)` of places of `stride_px` in gray values.

    Of each place, and then of the 3x3 places around it: the mean as a share of the range; the
    logarithm of the standard deviation; and the logarithm of the Laplacian's effective value.
    """
    return place_statistics(image, stride_px, _measured, _described, HALO_PX)


def _measured(values: Array) -> tuple[Array, ...]:
    """Gray values, their squares and their Laplacian's, of a band without its halo."""
    laplacian: Any = cv2.Laplacian(cv2.GaussianBlur(values, (3, 3), 0), cv2.CV_32F)
    inner = (slice(HALO_PX, -HALO_PX), slice(HALO_PX, -HALO_PX))
    return values[inner], np.square(values[inner]), np.square(laplacian[inner])


def _described(means: Array) -> Array:
    mean, squares, sharpness = np.moveaxis(means, -1, 0)
    contrast = np.sqrt(np.maximum(squares - mean * mean, 0) + np.float32(LEAST_VARIANCE))
    described: Array = np.stack(
        [
            mean,
            np.log(contrast + np.float32(LEAST_CONTRAST)),
            np.log(np.sqrt(sharpness) + np.float32(LEAST_SHARPNESS)),
        ],
        axis=-1,
    )
    return described
