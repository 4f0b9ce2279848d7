"""One picture from a camera."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.shown import Shown

GrayImage = NDArray[np.uint8] | NDArray[np.uint16]
ColourImage = NDArray[np.uint8] | NDArray[np.uint16]
"""Blue, green and red, `(height, width, 3)`."""
AnyImage = GrayImage | ColourImage
"""Gray values `(height, width)`, or a colour image."""


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
        Its name in messages: the file's path, or the camera's address.
    device_frame
        The camera's own number of the frame; None where it gives none.
    device_time_ns
        The camera's own time of the frame, in nanoseconds of its own clock, whose zero is
        arbitrary; None where it gives none.
    shown
        How the image came from a whole frame; None where it is one.
    pixel_size_um
        Size of a pixel on the specimen in micrometres; None where it is not known.
    left_out
        True where nothing is inspected, shape of the image; None where everything is.
    colours
        Blue, green and red of the same picture, `(height, width, 3)` of the image's type; None
        where the camera or the file gave none.
    whole
        The same picture before it was cropped, in colour where it has colours; None where nothing
        was cut off.

    Raises
    ------
    SemedgeError
        Where the image is not an array of that shape and type, or the colours do not fit it.
    """

    image: GrayImage
    sequence: int = 0
    captured_at_s: float = field(default_factory=time.time)
    source: str = "the image"
    device_frame: int | None = None
    device_time_ns: int | None = None
    left_out: NDArray[np.bool_] | None = None
    pixel_size_um: float | None = None
    shown: Shown | None = None
    colours: ColourImage | None = None
    whole: AnyImage | None = None

    def __post_init__(self) -> None:
        image = self.image
        if not isinstance(image, np.ndarray):
            raise SemedgeError(
                "A frame's image must be a NumPy array; read a file with semedge.read_image. "
                f"Received: {type(image).__name__}"
            )
        if image.ndim != 2 or not image.size or image.dtype not in (np.uint8, np.uint16):
            raise SemedgeError(
                "A frame's image must have gray values of the dtype uint8 or uint16 in the shape "
                "(height, width); turn colour to gray, and scale other values to the range of one "
                f"of these types. Received: dtype {image.dtype}, shape {image.shape}"
            )
        colours = self.colours
        if colours is not None and (
            colours.shape != (*image.shape, 3) or colours.dtype != image.dtype
        ):
            raise SemedgeError(
                "A frame's colours must have the shape (height, width, 3) and the dtype of its "
                f"image, {image.dtype} {image.shape}. Received: {colours.dtype} {colours.shape}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.image.shape
        return height, width

    @property
    def picture(self) -> AnyImage:
        """Its colours where it has them, otherwise its gray values."""
        return self.image if self.colours is None else self.colours

    @property
    def full_scale(self) -> int:
        """Largest value that the pixel type can hold: 255 or 65,535."""
        return int(np.iinfo(self.image.dtype).max)
