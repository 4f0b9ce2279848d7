"""One picture as every variant of TIFF, PNG, JPEG and PGM that programs write.

The files are put together by hand: a library that writes them would write only what it can read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 45, 70
"""Odd, and no multiple of a strip or a tile."""
NONE, LZW, JPEG, DEFLATE, PACKBITS = 1, 5, 7, 8, 32773
GRAY_INVERTED, GRAY, RGB, PALETTE = 0, 1, 2, 3


def picture() -> NDArray[np.uint8]:
    """A gray picture that no rotation or inversion leaves as it is."""
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (HEIGHT, WIDTH)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min()) * 200 + 20
    smooth[5:15, 8:30] = 250
    return smooth.astype(np.uint8)


@dataclass(frozen=True)
class Page:
    """A page of a TIFF: its tags, and its strips or tiles as bytes."""

    tags: dict[int, object]
    segments: tuple[bytes, ...]


def tiff(*pages: Page, order: str = "<") -> bytes:
    """A TIFF of these pages."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 0))
    pointer = 4
    for page in pages:
        offsets = []
        for segment in page.segments:
            offsets.append(len(out))
            out += segment + b"\0" * (len(segment) % 2)
        tiled = 322 in page.tags
        tags = {
            **page.tags,
            (324 if tiled else 273): tuple(offsets),
            (325 if tiled else 279): tuple(map(len, page.segments)),
        }
        entries = b""
        for tag, value in sorted(tags.items()):
            if isinstance(value, bytes):
                kind, count, data = (7 if tag == 347 else 2), len(value), value
            else:
                values = value if isinstance(value, tuple) else (value,)
                wide = max(values) > 65_535 or tag in (273, 279, 324, 325)
                kind, count = (4 if wide else 3), len(values)
                data = struct.pack(f"{order}{count}{'I' if wide else 'H'}", *values)
            if len(data) > 4:
                at = len(out)
                out += data + b"\0" * (len(data) % 2)
                data = struct.pack(f"{order}I", at)
            entries += struct.pack(f"{order}HHI", tag, kind, count) + data.ljust(4, b"\0")
        struct.pack_into(f"{order}I", out, pointer, len(out))
        out += struct.pack(f"{order}H", len(tags)) + entries
        pointer = len(out)
        out += bytes(4)
    return bytes(out)


def page(
    samples: NDArray,
    *,
    order: str = "<",
    photometric: int = GRAY,
    compression: int = NONE,
    planes: bool = False,
    tile_px: int | None = None,
    rows: int = 16,
    predictor: bool = False,
    extra: int | None = None,
    **tags: object,
) -> Page:
    """A page of `samples`, `(height, width, samples)`, with further tags as `t282=72`."""
    height, width, count = samples.shape
    stored = samples.astype(samples.dtype.newbyteorder(order))
    parts = [stored[..., [index]] for index in range(count)] if planes else [stored]
    segments = []
    for part in parts:
        for block in _blocks(part, tile_px, rows):
            values = block
            if predictor:
                values = block.copy()
                values[:, 1:] -= block[:, :-1]
            segments.append(_compressed(values, compression))
    bits = samples.dtype.itemsize * 8
    own: dict[int, object] = {
        256: width,
        257: height,
        258: (bits,) * count,
        259: compression,
        262: photometric,
        277: count,
        284: 2 if planes else 1,
    }
    if tile_px:
        own |= {322: tile_px, 323: tile_px}
    else:
        own |= {278: rows}
    if predictor:
        own |= {317: 2}
    if extra is not None:
        own |= {338: extra}
    return Page({**own, **{int(name[1:]): value for name, value in tags.items()}}, tuple(segments))


def _blocks(part: NDArray, tile_px: int | None, rows: int) -> Iterator[NDArray]:
    height, width, count = part.shape
    if tile_px is None:
        for top in range(0, height, rows):
            yield part[top : top + rows]
        return
    for top, left in product(range(0, height, tile_px), range(0, width, tile_px)):
        tile = np.zeros((tile_px, tile_px, count), part.dtype)
        inside = part[top : top + tile_px, left : left + tile_px]
        tile[: inside.shape[0], : inside.shape[1]] = inside
        yield tile


def _compressed(values: NDArray, compression: int) -> bytes:
    content = values.tobytes()
    if compression == DEFLATE:
        return zlib.compress(content)
    if compression == LZW:
        return lzw(content)
    if compression == PACKBITS:
        runs = [content[at : at + 128] for at in range(0, len(content), 128)]
        return b"".join(bytes([len(run) - 1]) + run for run in runs)
    if compression == JPEG:
        pixels = values[..., ::-1] if values.shape[2] == 3 else values
        return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    return content


def lzw(content: bytes) -> bytes:
    """TIFF's LZW, written as TIFF 6.0 describes it."""
    table = {bytes([value]): value for value in range(256)}
    codes: list[tuple[int, int]] = [(256, 9)]
    bits, prefix = 9, b""
    for value in content:
        longer = prefix + bytes([value])
        if longer in table:
            prefix = longer
            continue
        codes.append((table[prefix], bits))
        table[longer] = len(table) + 2
        if len(table) + 2 == 4095:
            codes.append((256, 12))
            table = {bytes([each]): each for each in range(256)}
            bits = 9
        elif len(table) + 2 in (512, 1024, 2048):
            bits += 1
        prefix = bytes([value])
    codes += [(table[prefix], bits)] if prefix else []
    if len(table) + 3 in (512, 1024, 2048):
        bits += 1
    codes.append((257, bits))
    digits = "".join(f"{code:0{width}b}" for code, width in codes)
    digits += "0" * (-len(digits) % 8)
    return int(digits, 2).to_bytes(len(digits) // 8, "big")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(orientation: int) -> bytes:
    """The EXIF data that only says how a picture is looked at."""
    entry = struct.pack("<HHHII", 1, 0x112, 3, 1, orientation)
    return b"II*\0" + struct.pack("<I", 8) + entry + struct.pack("<I", 0)


def turned(image: NDArray, orientation: int) -> NDArray:
    """The pixels that are stored so that the orientation shows `image`."""
    back = {
        1: lambda pixels: pixels,
        2: lambda pixels: pixels[:, ::-1],
        3: lambda pixels: pixels[::-1, ::-1],
        4: lambda pixels: pixels[::-1],
        5: lambda pixels: pixels.swapaxes(0, 1),
        6: lambda pixels: pixels.swapaxes(0, 1)[::-1],
        7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
        8: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    }
    return np.ascontiguousarray(back[orientation](image))
