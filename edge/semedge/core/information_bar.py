"""The information bar that microscopes print below the picture: found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage

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
