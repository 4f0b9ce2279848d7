"""What was cut off a frame before its picture was written, noted in the picture.

A picture that a station writes has what was inspected. Where it is scored with the settings of the
station, nothing must be cut off again.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from semedge.core.white import PNG, png_chunks, png_size

KEYWORD = b"semedge-shown"
"""Keyword of the PNG's chunk tEXt with the whole frame's size and what was cut off it."""
NOTE = re.compile(rb"(\d{1,6})x(\d{1,6}) (\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})")
MOST_PIXELS = 2**30
HEADER_BYTES = len(PNG) + 25
"""Bytes up to the end of the first chunk, which has the size."""


@dataclass(frozen=True)
class Shown:
    """How a picture came from a whole frame.

    Attributes
    ----------
    whole_px
        Height and width of the frame.
    cropped_px
        Rows and columns that were cut off at the top, bottom, left and right.
    """

    whole_px: tuple[int, int]
    cropped_px: tuple[int, int, int, int]


def with_note(content: bytes, shown: Shown) -> bytes:
    """The content of a PNG file, with the note."""
    height, width = shown.whole_px
    note = f"{width}x{height} {','.join(map(str, shown.cropped_px))}".encode()
    chunk = b"tEXt" + KEYWORD + b"\0" + note
    length, checksum = len(chunk) - 4, zlib.crc32(chunk)
    added = length.to_bytes(4, "big") + chunk + checksum.to_bytes(4, "big")
    return content[:HEADER_BYTES] + added + content[HEADER_BYTES:]


def note_in(content: bytes) -> Shown | None:
    """The note in the content of a file; None where there is none, or it is not a PNG."""
    if not content.startswith(PNG) or KEYWORD not in content:
        return None
    chunks = png_chunks(content)
    for kind, data in chunks:
        keyword, _, text = data.partition(b"\0")
        note = NOTE.fullmatch(text)
        if kind == b"tEXt" and keyword == KEYWORD and note is not None:
            width, height, top, bottom, left, right = map(int, note.groups())
            rest_px = (width - left - right, height - top - bottom)
            # Another program may have scaled the picture and kept its note.
            if rest_px == png_size(chunks) and width * height <= MOST_PIXELS:
                return Shown((height, width), (top, bottom, left, right))
    return None
