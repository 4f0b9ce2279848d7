"""The information bar that microscopes print below the picture: found, reported, and cut off."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage

logger = logging.getLogger(__name__)

SAME_GRAY = 6 / 255
"""Gray values nearer than this share of the range to a row's median belong to its background."""
FLAT_ROW = 0.55
"""Least share of background in a row that may belong to a bar, whatever is written on it."""
PLAIN_ROW = 0.9
"""Share of background in the rows that a bar begins and ends with."""
FLAT_ROWS_SHARE = 0.7
"""Share of a bar's rows that are flat; letters side by side and rulers make the rest."""
MATERIAL_FLAT = 0.4
"""Share of background that at most half of the rows above a bar may exceed: they show material."""
SHORTEST_SHARE, TALLEST_SHARE = 0.015, 0.3
"""Height of a bar as a share of the frame's."""
SHORTEST_PX = 8
FEWEST_COLUMNS = 32
WRITTEN_ROW = 0.97
"""Share of background that some row of a bar stays below: something is written there."""


def find_information_bar(image: GrayImage) -> int:
    """Rows of the bar at the lower edge of a gray image; 0 where there is none.

    A bar is a strip as wide as the picture, of one gray but for what is written on it, below
    material that is not. A picture of one gray, or one that is mostly white, has none.
    """
    height, width = image.shape
    tallest_px = int(TALLEST_SHARE * height)
    shortest_px = max(SHORTEST_PX, int(SHORTEST_SHARE * height))
    if width < FEWEST_COLUMNS or tallest_px < shortest_px:
        return 0
    # Most pictures end here, after three rows.
    if _background(image[-3:])[1].min() < PLAIN_ROW:
        return 0
    lower = image[height - 2 * tallest_px :]
    gray, share = _background(lower)
    near = np.abs(gray - gray[-1]) <= SAME_GRAY
    is_bar = near & (share >= FLAT_ROW)
    flat_below = np.cumsum(is_bar[::-1])[::-1] / np.arange(len(is_bar), 0, -1)
    begins = near & (share >= PLAIN_ROW) & (flat_below >= FLAT_ROWS_SHARE)
    first = int(np.argmax(begins))
    # A line of another gray may part the bar from the picture, and compression smears both.
    while first > 0 and share[first - 1] >= FLAT_ROW:
        first -= 1
    bar_px = len(lower) - first
    above = share[max(0, first - bar_px) : first]
    is_bar_high = shortest_px <= bar_px <= tallest_px
    is_written = share[first:].min() < WRITTEN_ROW
    return bar_px if is_bar_high and is_written and np.median(above) <= MATERIAL_FLAT else 0


def _background(rows: GrayImage) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Each row's median gray as a share of the range, and the share of its pixels near that."""
    grays = rows.astype(np.float32) / np.iinfo(rows.dtype).max
    median = np.median(grays, axis=1)
    share = (np.abs(grays - median[:, None]) <= SAME_GRAY).mean(axis=1)
    return median, share


@dataclass
class LowerEdge:
    """Cuts rows off at the lower edge of frames, and warns once where a bar is left.

    Several threads may share one.

    Attributes
    ----------
    crop_px
        Rows to cut off.
    """

    crop_px: int = 0
    _warned: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.crop_px < 0:
            raise SemedgeError(f"crop_bottom_px must not be below 0. Received: {self.crop_px}")

    def crop(self, image: GrayImage, source: str) -> GrayImage:
        """The rest of the image; `source` is its name in messages.

        Raises `SemedgeError` where nothing would be left.
        """
        cropped = self.cut(image)
        if (
            not self._warned.locked()
            and (bar_px := find_information_bar(cropped))
            and self._warned.acquire(blocking=False)
        ):
            logger.warning(
                f"{source} seems to have an information bar of {bar_px} px at its lower edge, "
                "which would be inspected as material; cut it off with --crop-bottom-px "
                f"{self.crop_px + bar_px}, wherever these frames are used.",
                extra={"event": "information-bar"},
            )
        return cropped

    def cut(self, picture: NDArray) -> NDArray:
        """The rest of a picture or of its mask, without a search for a bar."""
        if not self.crop_px:
            return picture
        height, width = picture.shape
        if self.crop_px >= height:
            raise SemedgeError(
                f"crop_bottom_px = {self.crop_px} leaves nothing of a frame of "
                f"{width}x{height} px; give the height of the information bar."
            )
        return picture[: height - self.crop_px]
