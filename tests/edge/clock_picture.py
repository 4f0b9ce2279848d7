"""Pictures that show the time at which they were made, coarse enough to survive compression."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH_PX = 128
HEIGHT_PX = 96
BIT_WIDTH_PX = 16
BIT_HEIGHT_PX = 24
BITS = (WIDTH_PX // BIT_WIDTH_PX) * (HEIGHT_PX // BIT_HEIGHT_PX)
DARK, BRIGHT = 40, 215


def draw(time_s: float) -> bytes:
    """Gray values, row by row: the milliseconds as squares, the highest bit first."""
    milliseconds = int(time_s * 1e3) % 2**BITS
    bits = [milliseconds >> bit & 1 for bit in reversed(range(BITS))]
    rows = b""
    for start in range(0, BITS, WIDTH_PX // BIT_WIDTH_PX):
        row = b"".join(
            bytes([BRIGHT if bit else DARK]) * BIT_WIDTH_PX
            for bit in bits[start : start + WIDTH_PX // BIT_WIDTH_PX]
        )
        rows += row * BIT_HEIGHT_PX
    return rows


def age_s(image: Sequence[Sequence[int]], now_s: float) -> float:
    """Seconds between the time in a picture, shape `(height, width)`, and now."""
    milliseconds = 0
    for top in range(0, HEIGHT_PX, BIT_HEIGHT_PX):
        for left in range(0, WIDTH_PX, BIT_WIDTH_PX):
            value = image[top + BIT_HEIGHT_PX // 2][left + BIT_WIDTH_PX // 2]
            milliseconds = 2 * milliseconds + int(value > (DARK + BRIGHT) // 2)
    return (int(now_s * 1e3) - milliseconds) % 2**BITS / 1e3


def draw_waves(time_s: float) -> bytes:
    """The clock, and below it as many rows of waves whose place depends on its time."""
    milliseconds = int(time_s * 1e3) % 2**BITS
    across = [50 * math.sin((x + milliseconds / 5) / 9) for x in range(WIDTH_PX)]
    down = [50 * math.sin((y + milliseconds / 9) / 7) for y in range(HEIGHT_PX)]
    rows = bytes(int(128 + a + b) for b in down for a in across)
    return draw(time_s) + rows
