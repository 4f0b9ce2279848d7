"""What is read from a picture's file, before it becomes gray."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass(frozen=True)
class Decoded:
    """What a picture's file has.

    Attributes
    ----------
    image
        Upright, shape `(height, width)`, or `(height, width, 3)` in OpenCV's order.
    pixel_size_um
        Size of a pixel in micrometres; None where the file does not say it.
    captured_at_s
        When it was taken, seconds since the Unix epoch; None where the file does not say it.
    """

    image: NDArray
    pixel_size_um: float | None = None
    captured_at_s: float | None = None
