"""Pictures of an alert: the frame, and its heat map."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage
from semedge.core.images import to_colour, to_gray
from semedge.inference.score_map import ScoreMap

ColourImage = NDArray[np.uint8]

STRONGEST_TINT = 0.65
CONTOUR_BGR = (80, 255, 80)
PEAK_BGR = (255, 255, 255)
SHADOW_BGR = (0, 0, 0)


def view_8_bit(image: AnyImage) -> NDArray[np.uint8]:
    """The image with 8 bits, for a screen.

    8-bit frames stay as they are. 16-bit frames are stretched between their 0.1 % and 99.9 %
    quantiles, since a camera of 10 to 14 bits uses a small part of the 16-bit range.
    """
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    low, high = np.quantile(image, (0.001, 0.999))
    stretched = (image.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    view: NDArray[np.uint8] = np.clip(stretched, 0, 255).astype(np.uint8)
    return view


def heat(pixel_scores: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Scores on the colour scale: 0 at the map's median, 1 at 1.5 times the threshold.

    Where the median itself is beyond 1.5 times the threshold, 1 is the map's maximum.
    """
    low = float(np.median(pixel_scores))
    high = threshold + 0.5 * abs(threshold)
    if high <= low:
        high = float(pixel_scores.max())
    span = max(high - low, float(np.finfo(np.float32).eps))
    scaled: NDArray[np.float32] = np.clip((pixel_scores - low) / span, 0.0, 1.0)
    return scaled


def tinted(picture: ColourImage, warmth: NDArray[np.float32]) -> ColourImage:
    """The picture under the colours of `warmth`, from 0, which changes nothing, to 1."""
    colours = cv2.applyColorMap((warmth * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    tint = (STRONGEST_TINT * warmth)[..., None]
    mixed: ColourImage = (picture * (1 - tint) + colours * tint).astype(np.uint8)
    return mixed


def draw_overlay(
    image: AnyImage,
    score_map: ScoreMap,
    threshold: float,
    left_out: NDArray[np.bool_] | None = None,
) -> ColourImage:
    """The frame on the left and its heat map on the right, uint8 BGR `(height, 2 * width, 3)`.

    A frame in colour is shown in colour, and its heat map over its gray values.
    The tint grows with the score, so that normal material stays unchanged. In both halves
    a contour runs around the pixels that a patch above the threshold covers; a cross on the heat
    map marks the patch with the largest score. What is left out is darkened, under stripes.
    """
    shown: ColourImage = to_colour(view_8_bit(image)).astype(np.uint8)
    if left_out is not None:
        _darken(shown, left_out)
    gray: ColourImage = to_colour(to_gray(shown)).astype(np.uint8)
    heated = tinted(gray, heat(score_map.to_pixels(), threshold))
    for half in (shown, heated):
        _draw_contour(half, score_map, threshold)
    _draw_peak(heated, score_map)
    overlay: ColourImage = np.concatenate([shown, heated], axis=1)
    return overlay


def _darken(picture: ColourImage, left_out: NDArray[np.bool_]) -> None:
    rows, columns = np.ogrid[: left_out.shape[0], : left_out.shape[1]]
    width_px = 3 * _line_px(picture)
    stripes = (rows + columns) // width_px % 2 == 0
    picture[left_out] //= 2
    picture[left_out & stripes] //= 2


def encode_png(image: NDArray[Any]) -> bytes:
    """Content of a PNG file: gray or BGR, of 8 or 16 bits."""
    try:
        _, content = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    except cv2.error as error:
        raise SemedgeError(
            f"A picture of shape {image.shape} and type {image.dtype} could not be made a PNG; "
            "give 8- or 16-bit values, gray or in colour."
        ) from error
    return content.tobytes()


def _line_px(image: ColourImage) -> int:
    """Width of lines that are visible when the whole picture is shown."""
    return max(1, round(min(image.shape[:2]) / 300))


def _draw_contour(image: ColourImage, score_map: ScoreMap, threshold: float) -> None:
    covered = score_map.covered_pixels(threshold)
    contours, _ = cv2.findContours(covered, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, width_px in ((SHADOW_BGR, 3 * _line_px(image)), (CONTOUR_BGR, _line_px(image))):
        cv2.drawContours(image, contours, -1, colour, width_px)


def _draw_peak(image: ColourImage, score_map: ScoreMap) -> None:
    size_px = max(9, score_map.grid.patch_px // 2)
    for colour, width_px in ((SHADOW_BGR, 3 * _line_px(image)), (PEAK_BGR, _line_px(image))):
        cv2.drawMarker(image, score_map.peak_px, colour, cv2.MARKER_CROSS, size_px, width_px)
