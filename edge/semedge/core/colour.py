"""Whether a picture has colours, which its gray values lose, and the colours."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import ColourImage

logger = logging.getLogger(__name__)

LEAST_DIFFERENCE = 0.03
"""Share of the range by which the channels of a coloured pixel differ; those of a gray picture that
was compressed as a colour one differ by less."""
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


def colours_of(picture: NDArray) -> ColourImage | None:
    """The first three channels of a picture that is more than gray, None where it is gray."""
    return np.ascontiguousarray(picture[..., :3]) if has_colours(picture) else None


class ColourWarning:
    """Warns once where frames have colours that are not judged, or lack those that are.

    Parameters
    ----------
    judged
        Whether the detector judges colours.
    """

    def __init__(self, *, judged: bool) -> None:
        self._judged = judged
        self._warned = False

    def check(self, source: str, *, in_colour: bool) -> None:
        """Look at a picture from `source`."""
        if in_colour == self._judged or self._warned:
            return
        self._warned = True
        message = (
            f"{source} has no colours, and the detector learned colours: what has none may look "
            "like a defect; set the camera to colour, or learn from its gray frames."
            if self._judged
            else f"{source} is in colour, and the detector judges gray values: it does not find a "
            "defect that differs in colour alone; learn the material from frames in colour."
        )
        logger.warning(message, extra={"event": "frame-colour"})
