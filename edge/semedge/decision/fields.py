"""Fields: a large frame as several smaller ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.inference.grid import PatchGrid
from semedge_calibration import ScoredGrid

FIELDS = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")


def parse_fields(text: str) -> tuple[int, int]:
    """Width and height in pixels of the fields that `text` names.

    Examples
    --------
    >>> parse_fields("256x192")
    (256, 192)
    """
    match = FIELDS.fullmatch(text)
    if match is None:
        raise SemedgeError(
            f"Fields must read WIDTHxHEIGHT in pixels, such as 256x256. Received: {text!r}"
        )
    return int(match[1]), int(match[2])


def patches_calibrated(grid: ScoredGrid) -> int:
    """Patches of the areas that a calibration's guarantee counts: frames, or fields of them."""
    return len(PatchGrid(grid.frame_shape, grid.patch_px, grid.stride_px))


def fields_in_frame(grid: ScoredGrid, frame_shape: tuple[int, int]) -> float:
    """Areas of the calibration in a frame, by their patches; at least 1."""
    patches = len(PatchGrid(frame_shape, grid.patch_px, grid.stride_px))
    return max(1.0, patches / patches_calibrated(grid))


def split_frame(frame: Frame, size_px: tuple[int, int], patch_px: int) -> Iterator[Frame]:
    """Fields of `size_px` = (width, height), row by row, without overlap and without copying.

    Fields are never cut off: what remains at the right and lower border is left out. Raises
    `SemedgeError` where a field is larger than the frame or smaller than a patch.
    """
    field_width, field_height = size_px
    height, width = frame.shape
    if field_width > width or field_height > height:
        raise SemedgeError(
            f"Fields of {field_width}x{field_height} px are larger than the frame {frame.source} "
            f"of {width}x{height} px; choose smaller fields."
        )
    if min(field_width, field_height) < patch_px:
        raise SemedgeError(
            f"Fields of {field_width}x{field_height} px are smaller than the detector's patches "
            f"of {patch_px}x{patch_px} px; choose larger fields."
        )
    for top in range(0, height - field_height + 1, field_height):
        for left in range(0, width - field_width + 1, field_width):
            field = np.s_[top : top + field_height, left : left + field_width]
            yield replace(
                frame,
                image=frame.image[field],
                colours=None if frame.colours is None else frame.colours[field],
                left_out=None if frame.left_out is None else frame.left_out[field],
                source=f"{frame.source} (field at {left},{top})",
            )
