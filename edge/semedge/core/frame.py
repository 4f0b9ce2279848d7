"""One picture from a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GrayImage = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Frame:
    """A gray image and where it comes from.

    Attributes
    ----------
    image
        Gray values, shape `(height, width)`, uint8 or uint16.
    sequence
        Position in the stream, from 0; a gap means that the camera lost frames or that the
        reader skipped stale ones.
    captured_at_s
        Time of capture, seconds since the Unix epoch.
    source
        What a person calls it: the file's path, or the camera's address.
    device_frame
        The camera's own number of the frame; None where it gives none.
    device_time_ns
        The camera's own time of the frame, in nanoseconds of its own clock, whose zero is the
        camera's affair; None where it gives none.
    """

    image: GrayImage
    sequence: int
    captured_at_s: float
    source: str
    device_frame: int | None = None
    device_time_ns: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.image.shape
        return height, width

    @property
    def full_scale(self) -> int:
        """Largest value that the pixel type can hold: 255 or 65,535."""
        return int(np.iinfo(self.image.dtype).max)
