"""Pictures that a page holds itself, so that it needs no other file and no network."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.overlay import CONTOUR_BGR, view_8_bit

JPEG_QUALITY = 80

ColourImage = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A picture for the page.

    Attributes
    ----------
    alt
        What it shows, for those who cannot see it.
    content
        PNG or JPEG.
    """

    alt: str
    content: bytes
    media_type: str = "image/png"

    @property
    def data_uri(self) -> str:
        """The picture as an address that holds it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class CaptionedPictures:
    """Pictures under one caption."""

    pictures: tuple[Picture, ...]
    caption: str


def chart(alt: str, figure: Figure) -> Picture:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Picture(alt, buffer.getvalue())


def photograph(alt: str, image: ColourImage, most_px: int) -> Picture:
    """A JPEG of an 8-bit BGR image, made smaller where its longer side has more pixels."""
    shown: Any = resized(image, min(1.0, most_px / max(image.shape[:2])))
    _, content = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Picture(alt, content.tobytes(), "image/jpeg")


def resized(image: NDArray, scale: float) -> NDArray:
    """The image at a scale; pixels stay square blocks where it grows."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    larger: Any = cv2.resize(image, (width, height), interpolation=how)
    return larger


def in_colour(image: GrayImage) -> ColourImage:
    """A gray frame, of 8 or 16 bits, as 8-bit BGR."""
    colour: Any = cv2.cvtColor(view_8_bit(image), cv2.COLOR_GRAY2BGR)
    return colour


def outline(picture: ColourImage, mask: NDArray[np.bool_], width_px: int) -> None:
    """Draw the contour of a mask into a picture of its size."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, CONTOUR_BGR, width_px)
