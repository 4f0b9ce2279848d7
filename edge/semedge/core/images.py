"""Image files as gray images."""

from __future__ import annotations

import functools
import glob
import os
import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"})


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


def read_image(path: Path | str) -> GrayImage:
    """Read an image as gray, shape `(height, width)`, uint8 or uint16 as in the file.

    Colour is converted to gray; nothing is rescaled. Raises `SemedgeError` where the file is not an
    image or has values that are not 8- or 16-bit integers.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SemedgeError(
            f"{path} cannot be read ({error.strerror}); check the path and its permissions."
        ) from error
    image = _decode(content)
    if image is None:
        raise SemedgeError(f"{path} cannot be decoded as an image; save it as PNG or TIFF.")
    if image.dtype not in (np.uint8, np.uint16):
        raise SemedgeError(
            f"{path} has {image.dtype} pixels; save it with 8- or 16-bit unsigned integers."
        )
    return to_gray(image)


def to_gray(image: NDArray) -> GrayImage:
    """A decoded picture, gray or with channels in OpenCV's order, as gray of the same type."""
    conversions = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
    channels = image.shape[2] if image.ndim == 3 else 0
    if channels in conversions:
        image = cv2.cvtColor(image, conversions[channels])
    gray: GrayImage = np.ascontiguousarray(image[..., 0] if image.ndim == 3 else image)
    return gray


def read_mask(path: Path | str) -> NDArray[np.bool_]:
    """Read a defect mask, True where its gray value is above 0, shape `(height, width)`."""
    mask: NDArray[np.bool_] = read_image(path) > 0
    return mask


def list_images(source: Path | str) -> list[Path]:
    """Image files of a folder or a glob, or the one file, in natural order (2 before 10)."""
    try:
        found = _find(str(source))
    except OSError as error:
        raise SemedgeError(
            f"{source} cannot be listed ({error.strerror}); check the path and its permissions."
        ) from error
    if not found:
        raise SemedgeError(
            f"There is no file, folder or match for {source or 'the empty path'}; check the path."
        )
    return sorted(found, key=_natural)


def _find(source: str) -> list[Path]:
    path = Path(source)
    if source and path.is_dir():
        found = [entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES]
        if not found:
            raise SemedgeError(
                f"The folder {path} holds no image; semedge reads {', '.join(sorted(SUFFIXES))}."
            )
        return found
    if source and path.exists():
        return [path]
    matches = glob.glob(source, recursive=True)  # noqa: PTH207 - absolute patterns too
    return [match for match in map(Path, matches) if match.is_file()]


def _decode(content: NDArray[np.uint8]) -> NDArray | None:
    if not content.size:
        return None
    silence_opencv()
    try:
        return cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
