"""TIFF files: each full page as gray or colour samples, or refused with the name of its tag.

tifffile reads the tags and puts strips, tiles and planes together. It is imported where there is a
TIFF; the compressions that it leaves to imagecodecs are decoded here where they are common, and the
others need the extra `tiff`.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semedge.core.capture_time import time_in_tags
from semedge.core.decoded import Decoded
from semedge.core.pixel_size import pixel_size_of_tiff
from semedge.core.tiff_segments import JPEG, DamagedTiffError, TiffError, page_samples
from semedge.core.white import ContainerError, fill_container

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

REDUCED, MASK = 1, 4
"""Bits of the tag NewSubfileType: pages that are not pictures of their own."""
EVENTS = (65000, 65001, 65002)
"""Compressions of events of single electrons, which are no picture before they are summed up."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
BITS_PER_SAMPLE, ORIENTATION, MAX_SAMPLE_VALUE = 258, 274, 281
SIGNIFICANT_BITS = re.compile(r'SignificantBits="(\d+)"')
LARGEST_PIXELS = 1 << 30


def count_pages(path: Path) -> int:
    """Number of the file's pages that are pictures; 1 where the file is damaged."""
    try:
        with path.open("rb") as file, _opened(file) as tiff:
            return max(1, sum(1 for _ in _pictures(tiff)))
    except (OSError, TiffError):
        return 1


def read_page(content: bytes, number: int) -> Decoded:
    """A page, uint8 or uint16, with black 0 and white as the file states it.

    Parameters
    ----------
    content
        The file.
    number
        Which of the full pages, from 1.

    Raises `TiffError` where the page is damaged or of a kind that cannot be read.
    """
    with _opened(io.BytesIO(content)) as tiff:
        pages = list(_pictures(tiff))
        if not pages:
            raise DamagedTiffError("it has no page")
        if not 1 <= number <= len(pages):
            raise TiffError(f"has {len(pages)} pages")
        page = pages[number - 1]
        _check(page)
        image = _colours(page, page_samples(page, tiff), _white_bits(tiff, page))
        times_s = (time_in_tags(content, each.offset) for each in (page, pages[0]))
        return Decoded(
            _upright(image, page),
            pixel_size_of_tiff(tiff, page),
            next((each for each in times_s if each is not None), None),
        )


@contextmanager
def _opened(file: Any) -> Iterator[TiffFile]:
    """The file's tags; every fault of a damaged file is a `TiffError`."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(file) as tiff:
            yield tiff
    except (TiffError, MemoryError):
        raise
    except ContainerError as error:
        raise TiffError(str(error)) from error
    except Exception as error:  # damaged files raise any exception in tifffile
        raise DamagedTiffError(str(error) or type(error).__name__) from error


def _pictures(tiff: TiffFile) -> Iterator[TiffPage]:
    for page in tiff.pages:
        if not int(getattr(page, "subfiletype", 0)) & (REDUCED | MASK):
            yield page  # type: ignore[misc]


def _check(page: TiffPage) -> None:
    """Refuse what would not be read as it is meant, by the name of the tag."""
    bits = page.bitspersample
    photometric = int(page.photometric)
    if page.sampleformat != 1 or bits not in (1, 8, 10, 12, 14, 16):
        kind = page.dtype or f"{bits}-bit"
        raise TiffError(
            f"has {kind} samples (BitsPerSample {bits}, SampleFormat {page.sampleformat})"
        )
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR):
        raise TiffError(f"has PhotometricInterpretation {photometric} ({_name(page.photometric)})")
    if photometric == YCBCR and page.compression != JPEG:
        raise TiffError(f"has PhotometricInterpretation {photometric} (YCbCr) without JPEG")
    if page.compression in EVENTS:
        raise TiffError(f"has Compression {int(page.compression)} ({_name(page.compression)})")
    expected = 3 if photometric in (RGB, YCBCR) else 1
    if page.samplesperpixel - len(page.extrasamples) != expected:
        raise TiffError(
            f"has SamplesPerPixel {page.samplesperpixel} where PhotometricInterpretation "
            f"{photometric} and ExtraSamples allow {expected + len(page.extrasamples)}"
        )
    if len(set(np.atleast_1d(page.tags.valueof(BITS_PER_SAMPLE, default=1)))) > 1:
        raise TiffError("has a BitsPerSample that differs between samples")
    if page.imagedepth != 1:
        raise TiffError(f"has ImageDepth {page.imagedepth}")
    if page.imagewidth * page.imagelength > LARGEST_PIXELS:
        raise TiffError(f"claims {page.imagewidth}x{page.imagelength} px")


def _colours(page: TiffPage, samples: NDArray, white_bits: int | None) -> NDArray:
    """Samples with black 0, without the extra ones: `(height, width)` or with blue, green, red."""
    bits = page.bitspersample
    photometric = int(page.photometric)
    if photometric == PALETTE:
        colours = np.asarray(page.colormap)[::-1] >> 8
        return np.ascontiguousarray(colours[:, samples[0]].transpose(1, 2, 0), np.uint8)
    if bits == 1:
        samples = samples * np.uint8(255)
    else:
        # Packed samples have no more bits than they state.
        full = np.iinfo(samples.dtype).bits
        samples = fill_container(samples, bits if bits < full else white_bits)
    if photometric == WHITE_IS_ZERO:
        samples = ~samples
    if photometric in (RGB, YCBCR):
        return np.ascontiguousarray(samples[2::-1].transpose(1, 2, 0))
    return samples[0]


def _upright(image: NDArray, page: TiffPage) -> NDArray:
    """The image as the tag Orientation says that it is looked at."""
    orientation = int(page.tags.valueof(ORIENTATION, default=1))
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _white_bits(tiff: TiffFile, page: TiffPage) -> int | None:
    """Bits of the value that stands for white, as the file says."""
    stated = SIGNIFICANT_BITS.search(tiff.pages.first.description) if tiff.is_ome else None
    if stated:
        return int(stated[1])
    values = page.tags.valueof(MAX_SAMPLE_VALUE, default=0)
    highest = int(max(values) if isinstance(values, tuple) else values)
    # A file whose tag has the brightest value that occurs in it says nothing about its white.
    return highest.bit_length() if highest and highest & (highest + 1) == 0 else None


def _name(tag: object) -> str:
    return getattr(tag, "name", str(tag))
