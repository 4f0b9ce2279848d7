"""Image files as gray images."""

from __future__ import annotations

import functools
import glob
import logging
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.capture_time import stated_time_s
from semedge.core.colour import colours_of
from semedge.core.decoded import Decoded
from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage, ColourImage, GrayImage
from semedge.core.jpeg import UPRIGHT, JpegError, decode_jpeg, is_jpeg
from semedge.core.pixel_size import pixel_size_beside
from semedge.core.shown import Shown, note_in
from semedge.core.tiff_segments import DamagedTiffError, TiffError
from semedge.core.white import (
    PNG,
    PngError,
    fill_container,
    png_bits,
    png_chunks,
    png_size,
    scale_pnm,
)

logger = logging.getLogger(__name__)

SUFFIXES = frozenset(
    {
        *(".bmp", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"),
        *(".tif", ".tiff", ".webp"),
    }
)
TIFF_SUFFIXES = (".tif", ".tiff")
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PAGE = re.compile(r"(.+)#([1-9]\d*)", re.DOTALL)
"""Name of a page: the file's path and the page's number, from 1."""
LONGEST_SIDE_PX, MOST_PIXELS = 1 << 20, 1 << 30
"""Limits of OpenCV."""
FEW_VALUES = 16
"""Most gray values of a mask that was drawn; more come from compression or scaling."""

SILENT = 0
"""OpenCV's log level that writes nothing."""


@functools.cache
def silence_opencv() -> None:
    """Silence OpenCV and its FFMPEG, so that a user reads semedge's sentence alone.

    `OPENCV_LOG_LEVEL` and `OPENCV_FFMPEG_LOGLEVEL` win where they are set; FFMPEG reads its
    variable when the first video is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # OpenCV 4 has the function at its top, OpenCV 5 in a submodule.
        owner = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
        owner.setLogLevel(SILENT)


@dataclass(frozen=True)
class Picture:
    """A gray image of a file, `(height, width)`.

    Its pixels' size, when it was taken, and what was cut off it, where the file says it; and its
    colours, `(height, width, 3)` in OpenCV's order, where it has any.
    """

    image: GrayImage
    pixel_size_um: float | None = None
    captured_at_s: float | None = None
    shown: Shown | None = None
    colours: ColourImage | None = None

    @property
    def picture(self) -> AnyImage:
        """Its colours where it has them, otherwise its gray values."""
        return self.image if self.colours is None else self.colours


def read_image(path: Path | str) -> GrayImage:
    """Read an image as gray, shape `(height, width)`, uint8 or uint16 as in the file.

    `path#n` is page n of a TIFF, from 1; without a number it is the first. The image is upright as
    its orientation says. Colour is converted to gray, and alpha is left out. Where the file states
    a white below the largest value of its pixels, its values are scaled to fill them.

    Raises `SemedgeError` where the file is not an image, is damaged, or has values that are not 8-
    or 16-bit integers.
    """
    return read_picture(path).image


def read_picture(path: Path | str) -> Picture:
    """Like `read_image`, with what else the file says."""
    file, number = split_page(path)
    try:
        mode = file.stat().st_mode
        # A pipe would keep its reader waiting for a writer.
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise SemedgeError(f"{path} is not a regular file; give an image file.")
        content = file.read_bytes()
    except OSError as error:
        raise SemedgeError(
            f"{path} cannot be read ({error.strerror}); check the path and its permissions."
        ) from error
    picture = decode_picture(content, str(path), number)
    if picture.pixel_size_um is None:
        return replace(picture, pixel_size_um=pixel_size_beside(file))
    return picture


def decode_image(content: bytes, name: str, number: int = 1) -> GrayImage:
    """The image in the content of a file, as `read_image`; `name` identifies it in messages."""
    return decode_picture(content, name, number).image


def decode_picture(content: bytes, name: str, number: int = 1) -> Picture:
    """Like `decode_image`, with what else the file says."""
    decoded = _decode(content, name, number)
    if decoded is None:
        raise SemedgeError(f"{name} cannot be decoded as an image; save it as PNG or TIFF.")
    image = decoded.image
    if image.dtype not in (np.uint8, np.uint16):
        raise SemedgeError(
            f"{name} has {image.dtype} pixels; save it with 8- or 16-bit unsigned integers."
        )
    return Picture(
        to_gray(image),
        decoded.pixel_size_um,
        decoded.captured_at_s,
        note_in(content),
        colours_of(image),
    )


def split_page(path: Path | str) -> tuple[Path, int]:
    """The file and the number of the page that a name means; a file may have a `#` in its name."""
    page = PAGE.fullmatch(str(path))
    if page is None or Path(path).exists():
        return Path(path), 1
    return Path(page[1]), int(page[2])


def to_gray(image: NDArray) -> GrayImage:
    """A decoded picture, gray or with channels in OpenCV's order, as gray of the same type."""
    conversions = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
    channels = image.shape[2] if image.ndim == 3 else 0
    if channels in conversions:
        image = cv2.cvtColor(image, conversions[channels])
    gray: GrayImage = np.ascontiguousarray(image[..., 0] if image.ndim == 3 else image)
    return gray


def to_colour(image: AnyImage) -> ColourImage:
    """Blue, green and red of a picture, which are alike where it is gray."""
    if image.ndim == 3:
        return image
    picture: ColourImage = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
    return picture


def read_mask(path: Path | str) -> NDArray[np.bool_]:
    """Read a defect mask, True where something is wrong, shape `(height, width)`.

    That is where its gray value is above 0. A mask of more than `FEW_VALUES` gray values was
    compressed with losses or scaled; it is cut at half of its largest value.
    """
    image = read_image(path)
    drawn = len(np.unique(image)) <= FEW_VALUES
    mask: NDArray[np.bool_] = image > (0 if drawn else int(image.max()) // 2)
    return mask


def list_frames(source: Path | str, *, recursive: bool = False) -> list[str]:
    """Names of the pictures of `list_images`: of a TIFF with several pages, `path#n` for each."""
    return [name for path in list_images(source, recursive=recursive) for name in frames_of(path)]


def frames_of(path: Path) -> list[str]:
    """Names of the pictures in a file, or the one page that `path` names."""
    file, _ = split_page(path)
    if file != path or file.suffix.lower() not in TIFF_SUFFIXES:
        return [str(path)]
    from semedge.core.tiff import count_pages  # with tifffile, which other files need not

    pages = count_pages(file)
    return [str(path)] if pages == 1 else [f"{path}#{number + 1}" for number in range(pages)]


def list_images(source: Path | str, *, recursive: bool = False) -> list[Path]:
    """Image files of a folder or a glob, or the one file, in natural order (2 before 10).

    A folder's subfolders are read where `recursive`; what is left out of it is logged.
    """
    try:
        found = _find(str(source), recursive)
    except OSError as error:
        raise SemedgeError(
            f"{source} cannot be listed ({error.strerror}); check the path and its permissions."
        ) from error
    if not found:
        raise SemedgeError(
            f"There is no file, folder or match for {source or 'the empty path'}; check the path."
        )
    return sorted(found, key=natural_key)


def _find(source: str, recursive: bool) -> list[Path]:
    path = Path(source)
    if source and path.is_dir():
        return _images_in(path, recursive)
    if source and split_page(path)[0].exists():
        return [path]
    matches = glob.glob(source, recursive=True)  # noqa: PTH207 - absolute patterns too
    return [match for match in map(Path, matches) if match.is_file()]


def _images_in(folder: Path, recursive: bool) -> list[Path]:
    found: list[Path] = []
    folders, others = 0, 0
    for path, subfolders, names in os.walk(folder, onerror=_raise):
        visible = [name for name in names if not name.startswith(".")]
        images = [Path(path, name) for name in visible if Path(name).suffix.lower() in SUFFIXES]
        regular = [image for image in images if image.is_file() or not image.exists()]
        found += regular
        others += len(visible) - len(regular)
        if not recursive:
            folders = sum(not name.startswith(".") for name in subfolders)
            subfolders.clear()
    left_out = _left_out(folders, others)
    if not found:
        if inner := _first_with_images(folder, recursive):
            raise SemedgeError(
                f"The folder {folder} holds no image itself, and its subfolder {inner.name} does; "
                f"give {inner}."
            )
        raise SemedgeError(
            f"The folder {folder} holds no image; semedge reads {', '.join(sorted(SUFFIXES))}"
            f"{f', and {left_out}' if left_out else ''}."
        )
    if left_out:
        logger.info(f"In {folder}, {left_out}.", extra={"event": "left-out"})
    return found


def _first_with_images(folder: Path, recursive: bool) -> Path | None:
    """The first subfolder with images in it; None where there is none, or all were read."""
    if recursive:
        return None
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if any(path.suffix.lower() in SUFFIXES and path.is_file() for path in inner.iterdir()):
            return inner
    return None


def _left_out(folders: int, others: int) -> str:
    """The clause on what a folder has beside its images; empty where there is nothing."""
    parts = []
    if folders:
        parts.append(f"{folders:,} {'subfolder' if folders == 1 else 'subfolders'}")
    if others:
        parts.append(f"{others:,} {'file' if others == 1 else 'files'} of other kinds")
    if not parts:
        return ""
    verb = "was" if folders + others == 1 else "were"
    remedy = " (--recursive reads subfolders)" if folders else ""
    return f"{' and '.join(parts)} {verb} left out{remedy}"


def _raise(error: OSError) -> None:
    raise error


def _decode(content: bytes, name: str, number: int) -> Decoded | None:
    """What the file has; None where it is not an image."""
    if content[:4] in TIFF_SIGNATURES:
        return _decode_tiff(content, name, number)
    if number != 1:
        raise SemedgeError(f"{name} is not a TIFF, and only these have pages; leave #{number} out.")
    try:
        if is_jpeg(content):
            return Decoded(decode_jpeg(content), captured_at_s=stated_time_s(content))
        if content.startswith(PNG):
            _check_size(png_size(png_chunks(content)), name)
        image = _decode_by_opencv(content)
        if image is None:
            return None
        if content.startswith(PNG):
            image = fill_container(image, png_bits(content, image))
        return Decoded(scale_pnm(content, image), captured_at_s=stated_time_s(content))
    except (JpegError, PngError) as error:
        raise _damaged(name, error) from error


def _decode_tiff(content: bytes, name: str, number: int) -> Decoded:
    from semedge.core.tiff import read_page  # with tifffile, which other files need not

    try:
        return read_page(content, number)
    except DamagedTiffError as error:
        raise _damaged(name, error) from error
    except TiffError as error:
        raise SemedgeError(
            f"{name} {error}; save it as an 8- or 16-bit gray TIFF or PNG."
        ) from error


def _damaged(name: str, error: Exception) -> SemedgeError:
    return SemedgeError(f"{name} is damaged ({error}); copy it again or record it again.")


def _check_size(size_px: tuple[int, int], name: str) -> None:
    width, height = size_px
    if max(width, height) > LONGEST_SIDE_PX or width * height > MOST_PIXELS:
        raise SemedgeError(
            f"{name} has {width:,}x{height:,} px, and at most {LONGEST_SIDE_PX:,} px a side and "
            f"{MOST_PIXELS:,} px in all can be read; cut it into several frames."
        )


def _decode_by_opencv(content: bytes) -> NDArray | None:
    if not content:
        return None
    silence_opencv()
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), UPRIGHT)
    except cv2.error:
        return None


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """A key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
