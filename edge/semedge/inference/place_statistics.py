"""Statistics of the pixels of each place, for what the network does not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.inference.feature_maps import blurred

Array = NDArray[np.float32]

BAND_PLACES = 8
"""Rows of places that are computed at once, so that all values stay in the cache."""


def place_statistics(
    picture: AnyImage,
    stride_px: int,
    measured: Callable[[Array], Sequence[Array]],
    described: Callable[[Array], Array],
    halo_px: int = 0,
) -> Array:
    """Statistics `(rows, columns, 2 n)` of places of `stride_px`, and of the 3x3 around each.

    Below and on the right, places that are cut off are continued by reflection.

    Parameters
    ----------
    picture
        The picture.
    stride_px
        Side of a place.
    measured
        From a band of the picture, as shares of the range, to what is averaged of its pixels: `m`
        values of each, without the halo.
    described
        From their means `(rows, columns, m)` to `n` statistics.
    halo_px
        Pixels around a band that `measured` looks at.
    """
    below, right = (-side % stride_px for side in picture.shape[:2])
    sides = (halo_px, halo_px + below, halo_px, halo_px + right)
    whole: Any = cv2.copyMakeBorder(picture, *sides, cv2.BORDER_REFLECT_101)
    band_px = BAND_PLACES * stride_px
    scale = np.float32(1 / np.iinfo(picture.dtype).max)
    bands = []
    for top in range(0, picture.shape[0], band_px):
        values = whole[top : top + band_px + 2 * halo_px].astype(np.float32)
        values *= scale
        bands.append(_means(measured(values), stride_px))
    means = np.concatenate(bands)
    return np.concatenate([described(means), described(blurred(means))], axis=-1)


def _means(values: Sequence[Array], stride_px: int) -> Array:
    height, width = values[0].shape
    size = (width // stride_px, height // stride_px)
    means: Any = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in values]
    return np.stack(means, axis=-1)
