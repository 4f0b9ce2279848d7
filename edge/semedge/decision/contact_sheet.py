"""A contact sheet of the frames that set a calibration's threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import Frame
from semedge.inference.overlay import PEAK_BGR, SHADOW_BGR, view_8_bit

COLUMNS = 4
THUMBNAIL_PX = 320
CAPTION_PX = 40
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
LETTERS = 38
"""Letters of a caption's line."""


@dataclass(frozen=True)
class Thumbnail:
    """A frame with a high score, small.

    Attributes
    ----------
    score, source
        Its score, and its name in messages.
    picture
        Gray values with a cross where the score is, `(height, width, 3)`.
    """

    score: float
    source: str
    picture: NDArray[np.uint8]


def make_thumbnail(frame: Frame, score: float, peak_px: tuple[int, int]) -> Thumbnail:
    """A frame as it is shown on a contact sheet."""
    height, width = frame.shape
    scale = THUMBNAIL_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = cv2.resize(view_8_bit(frame.image), size, interpolation=how)
    picture: NDArray[np.uint8] = np.repeat(small[..., None], 3, axis=2).astype(np.uint8)
    place = (round(peak_px[0] * scale), round(peak_px[1] * scale))
    for colour, width_px in ((SHADOW_BGR, 3), (PEAK_BGR, 1)):
        cv2.drawMarker(picture, place, colour, cv2.MARKER_CROSS, 21, width_px)
    return Thumbnail(score, frame.source, picture)


def draw_contact_sheet(thumbnails: Sequence[Thumbnail], threshold: float) -> NDArray[np.uint8]:
    """The thumbnails in rows, each with its score and its name; uint8 BGR."""
    rows = -(-len(thumbnails) // COLUMNS)
    tallest_px = max(each.picture.shape[0] for each in thumbnails)
    cell_px = tallest_px + CAPTION_PX
    sheet = np.full((rows * cell_px, COLUMNS * THUMBNAIL_PX, 3), 255, np.uint8)
    for number, thumbnail in enumerate(thumbnails):
        row, column = divmod(number, COLUMNS)
        top, left = row * cell_px, column * THUMBNAIL_PX
        height, width = thumbnail.picture.shape[:2]
        sheet[top : top + height, left : left + width] = thumbnail.picture
        above = " above the threshold" if thumbnail.score > threshold else ""
        # OpenCV's letters are ASCII.
        name = thumbnail.source.encode("ascii", "replace").decode()[-LETTERS:]
        for line, text in enumerate((f"{thumbnail.score:.5g}{above}", name)):
            place = (left + 4, top + tallest_px + 16 * (line + 1))
            cv2.putText(sheet, text, place, FONT, FONT_SCALE, SHADOW_BGR, 1, cv2.LINE_AA)
    return sheet
