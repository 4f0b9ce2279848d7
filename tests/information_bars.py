"""Frames with an information bar below, as microscopes print it."""

from __future__ import annotations

import cv2
import numpy as np

from semedge.core.frame import GrayImage


def with_bar(image: GrayImage, bar_px: int, background: int = 0) -> GrayImage:
    """An 8-bit image with a bar below: a line of the letters' gray, and two lines of writing."""
    letters = 255 if background < 128 else 0
    bar = np.full((bar_px, image.shape[1]), background, np.uint8)
    bar[0] = letters
    size = bar_px / 48
    thickness = max(1, round(size))
    for text, share in (("SEM HV: 10.0 kV  WD: 9.8 mm", 0.45), ("|---- 10 um ----|", 0.88)):
        # The letters of OpenCV 4 begin lower than those of 5, and the last rows stay plain.
        place = (8, min(int(share * bar_px), bar_px - 4))
        cv2.putText(
            bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * size, letters, thickness, cv2.LINE_AA
        )
    return np.vstack([image, bar])
