"""Pixels as cameras send them, by the names of GenICam's convention (PFNC)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.cameras.live import CameraSettingsError
from semedge.core.colour import colours_of, has_colours
from semedge.core.frame import ColourImage, GrayImage
from semedge.core.images import to_gray

UNUSED_BITS = {"Mono16": 0, "Mono14": 2, "Mono12": 4, "Mono10": 6}
"""Upper bits of two bytes that a format leaves empty."""

COLOURS = {
    "RGB8": cv2.COLOR_RGB2BGR,
    "BGR8": None,
    "RGBa8": cv2.COLOR_RGBA2BGR,
    "BGRa8": cv2.COLOR_BGRA2BGR,
}
"""OpenCV's conversions to its own order; None where it is that already."""
LEGACY_COLOURS = {
    "RGB8Packed": "RGB8",
    "BGR8Packed": "BGR8",
    "RGBA8Packed": "RGBa8",
    "BGRA8Packed": "BGRa8",
}

# OpenCV names a mosaic by its second row's second and third pixel, GenICam by its first two.
MOSAICS = {
    "BayerRG": (cv2.COLOR_BayerBG2GRAY, cv2.COLOR_BayerBG2BGR),
    "BayerGR": (cv2.COLOR_BayerGB2GRAY, cv2.COLOR_BayerGB2BGR),
    "BayerGB": (cv2.COLOR_BayerGR2GRAY, cv2.COLOR_BayerGR2BGR),
    "BayerBG": (cv2.COLOR_BayerRG2GRAY, cv2.COLOR_BayerRG2BGR),
}

MOSAIC_BLOCK_PX = 16
"""Rows and columns of one colour of a mosaic that are averaged before colours are compared: fine
detail differs between neighbouring pixels as colours do."""


def decoded(
    data: NDArray, pixel_format: str, shape: tuple[int, int], row_padding_bytes: int = 0
) -> tuple[GrayImage, ColourImage | None]:
    """A camera's pixels as a gray image with its own memory, and their colours; None without any.

    Formats of 10, 12 and 14 bits are shifted to fill 16 bits, so that white has one value.

    Parameters
    ----------
    data
        The buffer, as bytes or as values.
    pixel_format
        Its name, such as `Mono12Packed`.
    shape
        Height and width in pixels, which the image has.
    row_padding_bytes
        Unused bytes after each row.

    Raises
    ------
    CameraSettingsError
        Where the format is not known or the buffer is too short for it.
    """
    raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    pixel_format = LEGACY_COLOURS.get(pixel_format, pixel_format)
    height, width = shape
    if pixel_format == "Mono8":
        return _rows(raw, height, width, row_padding_bytes).copy(), None
    if pixel_format in UNUSED_BITS:
        values = _rows(raw, height, 2 * width, row_padding_bytes).copy().view("<u2")
        return np.left_shift(values, UNUSED_BITS[pixel_format], dtype=np.uint16), None
    if pixel_format in COLOURS:
        channels = 4 if "a" in pixel_format else 3
        rows = _rows(raw, height, channels * width, row_padding_bytes)
        pixels, conversion = rows.reshape(height, width, channels), COLOURS[pixel_format]
        # A copy, since the camera fills its buffer again.
        picture = pixels.copy() if conversion is None else cv2.cvtColor(pixels, conversion)
        return to_gray(picture), colours_of(picture)
    if pixel_format in ("Mono10p", "Mono12p", "Mono10Packed", "Mono12Packed"):
        return _unpacked_rows(raw, pixel_format, shape, row_padding_bytes), None
    mosaic, bits = pixel_format[:7], pixel_format[7:]
    if mosaic in MOSAICS and (bits == "8" or f"Mono{bits}" in UNUSED_BITS):
        plain, _ = decoded(data, f"Mono{bits}", shape, row_padding_bytes)
        gray, colours = MOSAICS[mosaic]
        if not _mosaic_has_colours(plain, mosaic):
            return to_gray(cv2.cvtColor(plain, gray)), None
        blue_green_red: Any = cv2.cvtColor(plain, colours)
        return to_gray(blue_green_red), blue_green_red
    raise CameraSettingsError(
        f"The camera sends {pixel_format}, which semedge cannot read; set pixel_format to Mono8, "
        "Mono10, Mono12 or Mono16."
    )


def _mosaic_has_colours(values: NDArray, mosaic: str) -> bool:
    """Whether the means of its colours' pixels differ anywhere in a mosaic `(height, width)`."""
    height, width = (side // 2 * 2 for side in values.shape)
    # Red and blue lie on one diagonal and both greens on the other, of which one is enough.
    green_first = mosaic[5] == "G"
    places = ((0, 1), (1, 0), (0, 0)) if green_first else ((0, 0), (1, 1), (0, 1))
    sides = (max(1, width // 2 // MOSAIC_BLOCK_PX), max(1, height // 2 // MOSAIC_BLOCK_PX))
    planes = [
        cv2.resize(values[row:height:2, column:width:2], sides, interpolation=cv2.INTER_AREA)
        for row, column in places
    ]
    return has_colours(np.stack(planes, axis=-1), every_px=1)


def _rows(raw: NDArray, height: int, row_bytes: int, padding_bytes: int) -> NDArray:
    stride_bytes = row_bytes + padding_bytes
    # The padding of the last row may be absent.
    _refuse_short(raw, height * stride_bytes - padding_bytes)
    return np.lib.stride_tricks.as_strided(
        raw, (height, row_bytes), (stride_bytes, 1), writeable=False
    )


def _unpacked_rows(
    raw: NDArray, pixel_format: str, shape: tuple[int, int], padding_bytes: int
) -> GrayImage:
    """Rows that follow each other without a gap, or that begin at a whole byte each."""
    height, width = shape
    bits = int(pixel_format[4:6])
    packed = pixel_format.endswith("Packed")
    row_bytes = (width + 1) // 2 * 3 if packed else (width * bits + 7) // 8
    together = (height * width + 1) // 2 * 3 if packed else (height * width * bits + 7) // 8
    # Some drivers pad each row to a whole byte, and report no padding.
    if not padding_bytes and (raw.size != height * row_bytes or row_bytes * height == together):
        return _unpacked(raw, pixel_format, height * width).reshape(height, width)
    rows = _rows(raw, height, row_bytes, padding_bytes)
    values: NDArray = np.stack([_unpacked(row, pixel_format, width) for row in rows])
    return values


def _unpacked(raw: NDArray, pixel_format: str, pixels: int) -> GrayImage:
    """Values of 10 or 12 bits without gaps (`p`), or two in three bytes (`Packed`)."""
    bits = int(pixel_format[4:6])
    if pixel_format.endswith("Packed"):
        _refuse_short(raw, (pixels + 1) // 2 * 3)
        triples = raw[: (pixels + 1) // 2 * 3].reshape(-1, 3).astype(np.uint16)
        low_bits = bits - 8
        mask = (1 << low_bits) - 1
        first = triples[:, 0] << low_bits | triples[:, 1] & mask
        second = triples[:, 2] << low_bits | triples[:, 1] >> 4 & mask
        values = np.stack([first, second], axis=1).reshape(-1)[:pixels]
    else:
        _refuse_short(raw, (pixels * bits + 7) // 8)
        at = np.arange(pixels) * bits
        padded = np.append(raw[: (pixels * bits + 7) // 8], np.uint8(0)).astype(np.uint16)
        values = (padded[at // 8] | padded[at // 8 + 1] << 8) >> (at % 8).astype(np.uint16)
        values &= (1 << bits) - 1
    return np.left_shift(values, 16 - bits, dtype=np.uint16)


def _refuse_short(raw: NDArray, needed_bytes: int) -> None:
    if raw.size < needed_bytes:
        raise CameraSettingsError(
            f"The camera sent {raw.size} bytes where the picture needs {needed_bytes}; check its "
            "region of interest and its pixel format."
        )
