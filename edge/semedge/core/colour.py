"""Whether a picture has colours, which its gray values lose."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

LEAST_DIFFERENCE = 0.05
"""Share of the range by which the channels of a coloured pixel differ; JPEG makes gray differ by
less."""
LEAST_SHARE = 0.01
"""Share of the pixels that are coloured in a picture that has colours."""


def has_colours(picture: NDArray, every_px: int = 8) -> bool:
    """Whether a picture `(height, width)` or `(height, width, channels)` is more than gray.

    The first three channels of each `every_px`-th pixel of each `every_px`-th row are compared; a
    fourth is alpha.
    """
    if picture.ndim != 3 or picture.shape[2] < 3:
        return False
    pixels = picture[::every_px, ::every_px, :3].astype(np.float32)
    difference = np.ptp(pixels, axis=-1) / np.iinfo(picture.dtype).max
    return bool((difference > LEAST_DIFFERENCE).mean() > LEAST_SHARE)


class ColourWarning:
    """Warns once of frames in colour, of which gray values are judged."""

    def __init__(self) -> None:
        self._warned = False

    def check(self, source: str, *, in_colour: bool) -> None:
        """Warn where the first picture in colour comes from `source`."""
        if not in_colour or self._warned:
            return
        self._warned = True
        logger.warning(
            f"{source} is in colour, and semedge judges gray values: it does not find a defect "
            "that differs in colour alone.",
            extra={"event": "frame-colour"},
        )
