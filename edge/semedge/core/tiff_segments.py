"""Strips, tiles and planes of a TIFF's page: decompressed, checked, and put together."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semedge.core.jpeg import JpegError, decode_jpeg
from semedge.core.lzw import LzwError, decode_lzw

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE = 1, 5, 7, 8, 32946
NO_PREDICTOR, DIFFERENCES = 1, 2
SEPARATE_PLANES = 2
RGB = 2
ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
"""Marker of a JPEG, to which a byte is added: 0 for samples as they are, 1 for YCbCr."""


class TiffError(ValueError):
    """A page cannot be read; the message is a clause, such as `has 32-bit samples`."""


class DamagedTiffError(TiffError):
    """A page that is damaged; the message is why."""


@dataclass(frozen=True)
class _Layout:
    """How a page is cut into segments; sizes in pixels."""

    height: int
    width: int
    segment_height: int
    segment_width: int
    planes: int
    samples: int

    @classmethod
    def of(cls, page: TiffPage) -> _Layout:
        planes = page.samplesperpixel if page.planarconfig == SEPARATE_PLANES else 1
        height, width = page.imagelength, page.imagewidth
        tile = (min(page.rowsperstrip or height, height), width)
        if page.is_tiled:
            tile = (page.tilelength, page.tilewidth)
        if min(height, width, *tile) < 1:
            raise DamagedTiffError("a size of 0 px")
        return cls(height, width, *tile, planes, page.samplesperpixel // planes)

    @property
    def across(self) -> int:
        return -(-self.width // self.segment_width)

    @property
    def down(self) -> int:
        return -(-self.height // self.segment_height)


def page_samples(page: TiffPage, tiff: TiffFile) -> NDArray:
    """The page's samples as they are stored, shape `(samples, height, width)`, uint8 or uint16.

    Raises `TiffError` where the page is damaged or compressed in a way that is not known here.
    """
    layout = _Layout.of(page)
    decode = _decoder(page, tiff, layout)
    offsets, counts = page.dataoffsets, page.databytecounts
    a_plane = layout.across * layout.down
    if min(len(offsets), len(counts)) < layout.planes * a_plane:
        raise DamagedTiffError("strips are missing")
    dtype = np.uint8 if page.bitspersample <= 8 else np.uint16
    result = np.zeros((layout.planes, layout.height, layout.width, layout.samples), dtype)
    for index in range(layout.planes * a_plane):
        plane, place = divmod(index, a_plane)
        top = place // layout.across * layout.segment_height
        left = place % layout.across * layout.segment_width
        part = result[plane, top:, left:][: layout.segment_height, : layout.segment_width]
        rows = layout.segment_height if page.is_tiled else part.shape[0]
        tiff.filehandle.seek(offsets[index])
        content = tiff.filehandle.read(counts[index])
        if not content or len(content) != counts[index]:
            raise DamagedTiffError("a strip lies beyond its end")
        part[...] = decode(content, rows)[: part.shape[0], : part.shape[1]]
    return result.transpose(0, 3, 1, 2).reshape(page.samplesperpixel, layout.height, layout.width)


def _decoder(page: TiffPage, tiff: TiffFile, layout: _Layout) -> Callable[[bytes, int], NDArray]:
    """Turns a segment's bytes and its number of rows to `(rows, width, samples)`."""
    compression = int(page.compression)
    if compression == JPEG:
        return lambda content, rows: _jpeg(page, content, layout)
    if page.fillorder != 1:
        raise TiffError(f"has FillOrder {int(page.fillorder)}")
    if page.predictor not in (NO_PREDICTOR, DIFFERENCES):
        raise TiffError(f"has Predictor {int(page.predictor)}")
    decompress = _decompressor(page)
    bits, width = page.bitspersample, layout.segment_width
    row_bytes = -(-width * layout.samples * bits // 8)

    def decode(content: bytes, rows: int) -> NDArray:
        decoded = decompress(content)
        if isinstance(decoded, np.ndarray) and decoded.ndim > 1:
            return decoded.reshape(*decoded.shape[:2], layout.samples)
        size = len(decoded)
        # Some programs fill the last strip up to the height of the others.
        if (
            not rows * row_bytes <= size <= layout.segment_height * row_bytes
            and compression != NONE
        ):
            raise DamagedTiffError(f"a strip of {rows * row_bytes} bytes has {size}")
        if size < rows * row_bytes:
            raise DamagedTiffError("a strip is too short")
        stored = np.frombuffer(decoded, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
        values = _unpacked(stored, bits, tiff.byteorder)[:, : width * layout.samples]
        segment = values.reshape(rows, width, layout.samples)
        if page.predictor == DIFFERENCES:
            segment = np.cumsum(segment, axis=1, dtype=segment.dtype)
        return segment

    return decode


def _decompressor(page: TiffPage) -> Callable[[bytes], Any]:
    import tifffile

    compression = int(page.compression)
    if compression == NONE:
        return lambda content: content
    if compression in (DEFLATE, OLD_DEFLATE):
        return _inflate
    if compression == LZW:
        return _lzw
    try:
        return tifffile.TIFF.DECOMPRESSORS[compression]
    except KeyError as error:
        name = getattr(page.compression, "name", "unknown")
        raise TiffError(
            f"has Compression {compression} ({name}), for which semedge needs the extra tiff"
        ) from error


def _lzw(content: bytes) -> bytes:
    try:
        return decode_lzw(content)
    except LzwError as error:
        raise DamagedTiffError(f"LZW: {error}") from error


def _inflate(content: bytes) -> bytes:
    stream = zlib.decompressobj()
    decoded = stream.decompress(content)
    if not stream.eof:
        raise DamagedTiffError("Deflate: it does not end")
    return decoded


def _unpacked(stored: NDArray[np.uint8], bits: int, byteorder: str) -> NDArray:
    """Rows of bytes as rows of samples."""
    if bits == 8:
        return stored
    if bits == 16:
        return stored.view(f"{byteorder}u2").astype(np.uint16)
    digits = np.unpackbits(stored, axis=1)
    digits = digits[:, : digits.shape[1] // bits * bits].reshape(len(stored), -1, bits)
    dtype = np.uint8 if bits < 8 else np.uint16
    places: NDArray = (1 << np.arange(bits)[::-1]).astype(dtype)
    return (digits * places).sum(axis=2, dtype=dtype)


def _jpeg(page: TiffPage, content: bytes, layout: _Layout) -> NDArray:
    """A segment that is a JPEG without tables and without a word about its colours."""
    tables = page.jpegtables[2:-2] if page.jpegtables else b""
    colours = ADOBE + bytes([int(page.photometric != RGB)]) if layout.samples == 3 else b""
    try:
        picture = decode_jpeg(content[:2] + colours + tables + content[2:])
    except JpegError as error:
        raise DamagedTiffError(f"JPEG: {error}") from error
    if picture.ndim == 3:
        picture = picture[..., ::-1]
    samples = 1 if picture.ndim == 2 else picture.shape[2]
    if picture.dtype != np.uint8 or samples != layout.samples:
        raise TiffError(f"has Compression 7 (JPEG) with {samples} samples of {picture.dtype}")
    return picture.reshape(*picture.shape[:2], samples)
