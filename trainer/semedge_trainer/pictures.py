"""Pictures of an evaluation: of each frame the frame, its mask and its heat map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.files import write_atomically
from semedge.frame import GrayImage
from semedge.overlay import CONTOUR_BGR, STRONGEST_TINT, encode_png, heat, view_8_bit
from semedge_trainer.evaluation import Row, ScoredFrame


def write_pictures(folder: Path, frames: Sequence[ScoredFrame], row: Row) -> None:
    """Write `NAME.png` for every frame, with the heat map of the row's score.

    All maps share one scale: that of the calibrated threshold where there is one, else of the
    oracle's, else of the highest score.
    """
    point = row.items.calibrated or row.items.oracle
    highest = max(float(frame.patch_scores[row.score].max()) for frame in frames)
    threshold = highest if point is None else point.threshold
    for frame in frames:
        scores = frame.grid.to_pixels(frame.patch_scores[row.score])
        image, mask = frame.files.read(frame.grid.patch_px)
        picture = draw_evaluation(image, mask, scores, threshold)
        write_atomically(folder / f"{frame.files.image_path.stem}.png", encode_png(picture))


def draw_evaluation(
    image: GrayImage,
    mask: NDArray[np.bool_],
    pixel_scores: NDArray[np.float32],
    threshold: float,
) -> NDArray[np.uint8]:
    """Frame, frame with the mask's contour, and heat map, uint8 BGR `(height, 3 * width, 3)`."""
    gray = cv2.cvtColor(view_8_bit(image), cv2.COLOR_GRAY2BGR)
    outlined = gray.copy()
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, contours, -1, CONTOUR_BGR, max(1, min(image.shape) // 300))
    warmth = heat(pixel_scores, threshold)
    colours = cv2.applyColorMap((warmth * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    tint = (STRONGEST_TINT * warmth)[..., None]
    tinted = (gray * (1 - tint) + colours * tint).astype(np.uint8)
    picture: NDArray[np.uint8] = np.concatenate([gray, outlined, tinted], axis=1)
    return picture
