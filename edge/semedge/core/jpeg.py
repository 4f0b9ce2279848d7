"""JPEGs, decoded only where they are whole.

libjpeg decodes a JPEG that lost bytes as far as it goes, fills the rest with gray, and writes a
warning to stderr. simplejpeg returns these warnings, so that damage is known.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\xff\xd8\xff"
UPRIGHT = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
"""With these flags OpenCV turns a picture as its EXIF orientation says."""
SMALLEST = 8
"""Factor by which the decoder may scale, where only its warnings matter."""


class JpegError(ValueError):
    """The JPEG is damaged; the message is libjpeg's."""


def is_jpeg(content: bytes) -> bool:
    """Whether the content of a file begins as a JPEG does."""
    return content[:3] == SIGNATURE


def decode_jpeg(content: bytes) -> NDArray[np.uint8]:
    """The picture upright, gray or in OpenCV's order; `JpegError` where it is damaged."""
    check_jpeg(content)
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), UPRIGHT)
    except cv2.error as error:
        raise JpegError("it cannot be decoded") from error
    if picture is None:
        raise JpegError("it cannot be decoded")
    return picture  # type: ignore[return-value]


def check_jpeg(content: bytes) -> None:
    """Raise `JpegError` with libjpeg's own words where it has a warning about the content."""
    import simplejpeg  # not needed for other files

    try:
        colours = simplejpeg.decode_jpeg_header(content)[2]
        kept = "CMYK" if colours in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(content, kept, min_factor=SMALLEST)
    except ValueError as error:
        raise JpegError(str(error)) from error
