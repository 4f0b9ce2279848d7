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

Array = NDArray[np.float32]

GRAY = "gray"
"""Name of the statistics among the network's outputs."""
STATISTICS = 6
"""Mean, contrast and sharpness of each place, and of the 3x3 places around it."""
CONTEXT_PLACES = 3
LEAST_VARIANCE = 1e-5
LEAST_CONTRAST = 0.01
LEAST_SHARPNESS = 0.005
"""Shares of the range of gray values that differences below them are small against."""


def gray_statistics(image: GrayImage, stride_px: int) -> Array:
    """Statistics `(rows, columns, 6)` of places of `stride_px` in gray values.

    Of each place, and then of the 3x3 places around it: the mean as a share of the range; the
    logarithm of the standard deviation; and the logarithm of the Laplacian's effective value. Below
    and on the right, places that are cut off are continued by reflection.
    """
    values = image.astype(np.float32) / np.iinfo(image.dtype).max
    laplacian: Any = cv2.Laplacian(cv2.GaussianBlur(values, (3, 3), 0), cv2.CV_32F)
    means = [
        _by_place(each, stride_px) for each in (values, values * values, laplacian * laplacian)
    ]
    size = (CONTEXT_PLACES, CONTEXT_PLACES)
    around = [cv2.blur(each, size, borderType=cv2.BORDER_REFLECT_101) for each in means]
    statistics: Array = np.stack(_described(*means) + _described(*around), axis=-1)
    return statistics


def _by_place(values: Any, stride_px: int) -> Any:
    """The mean over each place."""
    below, right = (-side % stride_px for side in values.shape)
    whole = cv2.copyMakeBorder(values, 0, below, 0, right, cv2.BORDER_REFLECT_101)
    height, width = whole.shape
    size = (width // stride_px, height // stride_px)
    return cv2.resize(whole, size, interpolation=cv2.INTER_AREA)


def _described(mean: Any, squares: Any, sharpness: Any) -> list[Array]:
    contrast = np.sqrt(np.maximum(squares - mean * mean, 0) + np.float32(LEAST_VARIANCE))
    return [
        mean,
        np.log(contrast + np.float32(LEAST_CONTRAST)),
        np.log(np.sqrt(sharpness) + np.float32(LEAST_SHARPNESS)),
    ]
