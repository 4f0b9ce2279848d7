"""The value that stands for white, where it is not the largest one of the pixel type."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

PNG = b"\x89PNG\r\n\x1a\n"
PNM_HEADER = re.compile(
    rb"P([2356])(?:\s+(?:#[^\n]*\n\s*)*)(\d+)(?:\s+(?:#[^\n]*\n\s*)*)(\d+)"
    rb"(?:\s+(?:#[^\n]*\n\s*)*)(\d+)\s"
)
CAMERA_BITS = (10, 12, 14)
"""Bits of a pixel that cameras have beside those that fill a container."""


class ContainerError(ValueError):
    """Values have more bits than they should; the message is a clause."""


class PngError(ValueError):
    """A PNG is damaged; the message is why."""


def fill_container(image: NDArray, bits: int | None) -> NDArray:
    """The image with its values shifted, so that white of `bits` bits is white of the type.

    No bit is lost. Values that fill their type already, with zeros in the bits below, stay. Raises
    `ContainerError` where a value has more bits.
    """
    full = np.iinfo(image.dtype).bits
    if bits is None or bits >= full:
        return image
    highest = int(image.max())
    if highest >> bits:
        if not (image & ((1 << (full - bits)) - 1)).any():
            return image
        raise ContainerError(f"has values up to {highest}, which {bits} bits cannot have")
    return image << (full - bits)


def unfilled_bits(image: NDArray) -> int | None:
    """The fewest of `CAMERA_BITS` that a 16-bit image fits into; None where it fills its type."""
    if image.dtype != np.uint16:
        return None
    highest = int(image.max())
    return next((bits for bits in CAMERA_BITS if 0 < highest < 1 << bits), None)


def png_bits(content: bytes, image: NDArray) -> int | None:
    """Significant bits of a PNG whose chunk sBIT says so, where its values are not scaled yet.

    The standard wants values that fill the container, which then repeat their high bits in the low
    ones; some programs store them as they are.
    """
    bits = next((data[0] for kind, data in png_chunks(content) if kind == b"sBIT" and data), None)
    full = np.iinfo(image.dtype).bits
    if bits is None or not 0 < bits < full or int(image.max()) >> bits:
        return None
    is_scaled = not (image & ((1 << (full - bits)) - 1)).any()
    return None if is_scaled else bits


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and data of each chunk; `PngError` where one is damaged or the end is missing."""
    chunks = []
    at = len(PNG)
    while True:
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        data = content[at + 8 : at + 8 + size]
        if len(content) < at + 12 + size:
            raise PngError("it ends early")
        if zlib.crc32(kind + data) != int.from_bytes(
            content[at + 8 + size : at + 12 + size], "big"
        ):
            raise PngError(f"the checksum of its chunk {kind.decode('latin-1')} differs")
        chunks.append((kind, data))
        if kind == b"IEND":
            return chunks
        at += 12 + size


def png_size(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Width and height of a PNG; `PngError` where it does not begin with them."""
    kind, data = chunks[0]
    if kind != b"IHDR" or len(data) != 13:
        raise PngError("it has no header")
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")


def scale_pnm(content: bytes, image: NDArray) -> NDArray:
    """A PGM or PPM with its largest value as white; OpenCV scales only 8-bit text."""
    header = PNM_HEADER.match(content)
    if header is None:
        return image
    kind, white = header[1], int(header[4])
    full = int(np.iinfo(image.dtype).max)
    if not 0 < white < full or (kind in b"23" and full == 255):
        return image
    if white & (white + 1) == 0 and full > 255:
        return fill_container(image, white.bit_length())
    scaled = np.minimum(image, white).astype(np.uint32) * full
    return ((scaled + white // 2) // white).astype(image.dtype)
