"""What each place's colours are like: their mean hue and saturation, and how much they vary.

The network and the gray statistics see brightness alone, and no stain that is as bright as the
material. Colours are taken relative to brightness, so that more light changes them little.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.core.images import to_colour
from semedge.inference.place_statistics import place_statistics

Array = NDArray[np.float32]

COLOUR = "colour"
"""Name of the statistics among the network's outputs."""
STATISTICS = 8
"""Mean and variation of both differences of each place, and of the 3x3 places around it."""
LEAST_LIGHT = 0.1
"""Share of the range that is added to the brightness, since dark pixels have hardly a colour."""
LEAST_VARIANCE = 1e-5
LEAST_VARIATION = 0.02
"""Relative difference that smaller ones hardly count beside."""


def colour_statistics(picture: AnyImage, stride_px: int) -> Array:
    """Statistics `(rows, columns, 8)` of places of `stride_px` in a picture.

    With Y the gray value of a pixel, of each place, and then of the 3x3 places around it: the means
    of R - Y and B - Y, each divided by that of Y and a tenth of the range; and the logarithms of
    their standard deviations, divided likewise. A gray picture has none of either.
    """
    return place_statistics(to_colour(picture), stride_px, _measured, _described)


def _measured(values: Array) -> tuple[Array, ...]:
    """Y, R - Y, B - Y, and the squares of both differences."""
    light: Any = cv2.cvtColor(values, cv2.COLOR_BGR2GRAY)
    red, blue = values[..., 2] - light, values[..., 0] - light
    return light, red, blue, red * red, blue * blue


def _described(means: Array) -> Array:
    light, *differences, red_squares, blue_squares = np.moveaxis(means, -1, 0)
    brightness = light + np.float32(LEAST_LIGHT)
    described = [difference / brightness for difference in differences]
    for difference, squares in zip(differences, (red_squares, blue_squares), strict=True):
        variance = np.maximum(squares - difference * difference, 0) + np.float32(LEAST_VARIANCE)
        described.append(np.log(np.sqrt(variance) / brightness + np.float32(LEAST_VARIATION)))
    statistics: Array = np.stack(described, axis=-1)
    return statistics
