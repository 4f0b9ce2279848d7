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
from semedge.inference.feature_maps import blurred

Array = NDArray[np.float32]

GRAY = "gray"
"""Name of the statistics among the network's outputs."""
STATISTICS = 6
"""Mean, contrast and sharpness of each place, and of the 3x3 places around it."""
BAND_PLACES = 8
"""Rows of places that are computed at once, so that all values stay in the cache."""
HALO_PX = 2
"""How far the blur and the Laplacian reach."""
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
    below, right = (-side % stride_px for side in image.shape)
    sides = (HALO_PX, HALO_PX + below, HALO_PX, HALO_PX + right)
    whole: Any = cv2.copyMakeBorder(image, *sides, cv2.BORDER_REFLECT_101)
    band_px = BAND_PLACES * stride_px
    bands = [
        _of_band(whole[top : top + band_px + 2 * HALO_PX], stride_px)
        for top in range(0, image.shape[0], band_px)
    ]
    means = np.concatenate(bands)
    return np.concatenate([_described(means), _described(blurred(means))], axis=-1)


def _of_band(gray: Any, stride_px: int) -> Array:
    """Means by place of values, their squares and their Laplacian's, of a band with its halo."""
    values = gray.astype(np.float32)
    values *= np.float32(1 / np.iinfo(gray.dtype).max)
    laplacian: Any = cv2.Laplacian(cv2.GaussianBlur(values, (3, 3), 0), cv2.CV_32F)
    inner = (slice(HALO_PX, -HALO_PX), slice(HALO_PX, -HALO_PX))
    height, width = gray[inner].shape
    size = (width // stride_px, height // stride_px)
    means: Any = [
        cv2.resize(each, size, interpolation=cv2.INTER_AREA)
        for each in (values[inner], np.square(values[inner]), np.square(laplacian[inner]))
    ]
    return np.stack(means, axis=-1)


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
