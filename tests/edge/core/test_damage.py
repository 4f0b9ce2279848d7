"""Damaged pictures are refused, in thousands of random cases.

PNG and Deflate have checksums, so that no damage passes. LZW and JPEG have none: there damage is
known by a stream that ends too early, too late or with an impossible code. What passes all the same
is bounded by `PASSING`, and docs/how-to/cameras.md says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from variants import DEFLATE, JPEG, LZW, page, tiff

from semedge.core.errors import SemedgeError
from semedge.core.images import decode_image

SHORTEST, LONGEST = 16, 400
"""Bytes that are lost, zeroed or replaced."""


def picture() -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).integers(0, 256, (200, 260)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@dataclass(frozen=True)
class Whole:
    """A whole file, and the part of it that has the pixels."""

    content: bytes
    start: int
    stop: int


def whole_tiff(compression: int) -> Whole:
    written = page(picture()[..., None], compression=compression, rows=200)
    content, segment = tiff(written), written.segments[0]
    return Whole(content, content.index(segment), content.index(segment) + len(segment))


def whole_jpeg(*settings: int) -> Whole:
    content = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_QUALITY, 95, *settings])[1]
    scan = content.tobytes().index(b"\xff\xda") + 12
    return Whole(content.tobytes(), scan, len(content) - 2)


def whole_png() -> Whole:
    content = cv2.imencode(".png", picture())[1].tobytes()
    return Whole(content, 8, len(content))


FORMATS = {
    "png": whole_png,
    "deflate": lambda: whole_tiff(DEFLATE),
    "lzw": lambda: whole_tiff(LZW),
    "jpeg-in-tiff": lambda: whole_tiff(JPEG),
    "jpeg": whole_jpeg,
    "progressive": lambda: whole_jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": lambda: whole_jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
}
PASSING = {
    "png": {"flip": 0.0, "lost": 0.0, "hole": 0.0, "noise": 0.0},
    "deflate": {"flip": 0.0, "lost": 0.0, "hole": 0.0, "noise": 0.0},
    "lzw": {"lost": 0.04, "hole": 0.06, "noise": 0.04},
    "jpeg-in-tiff": {"lost": 0.2, "hole": 0.3, "noise": 0.06},
    "jpeg": {"lost": 0.08, "hole": 0.3, "noise": 0.06},
    "progressive": {"lost": 0.12, "hole": 0.12, "noise": 0.15},
    "restarts": {"lost": 0.06, "hole": 0.1, "noise": 0.06},
}
"""Most of the damaged files, by what happened to them, that may pass as another picture."""
SMALL = {"lzw": 0.2, "restarts": 0.02}
"""Most of the pixels that differ, of what passes, where the format confines damage."""


def damaged(whole: Whole, kind: str, random: np.random.Generator) -> bytes:
    content = bytearray(whole.content)
    at = int(random.integers(whole.start, whole.stop))
    if kind == "flip":
        content[at] ^= 1 << int(random.integers(8))
        return bytes(content)
    count = min(int(random.integers(SHORTEST, LONGEST)), whole.stop - at)
    if kind == "lost":
        # What follows moves up; a TIFF's other parts stay where they are.
        rest = whole.content[at + count : whole.stop]
        fill = bytes(count) if whole.stop < len(content) - 2 else b""
        content[at : whole.stop] = rest + fill
    elif kind == "hole":
        content[at : at + count] = bytes(count)
    else:
        content[at : at + count] = random.bytes(count)
    return bytes(content)


def decoded(content: bytes, name: str) -> NDArray | None:
    """The picture, or None where it is refused by its name."""
    refused = ""
    try:
        return decode_image(content, name)
    except SemedgeError as error:
        refused = str(error)
    assert refused.startswith(f"{name} ")
    return None


def check(name: str, count: int) -> None:
    whole = FORMATS[name]()
    truth = decode_image(whole.content, name)
    random = np.random.default_rng(7)
    for kind in ("flip", "lost", "hole", "noise"):
        passed = 0
        for _ in range(count):
            content = damaged(whole, kind, random)
            image = decoded(content, name)
            if image is None or np.array_equal(image, truth):
                continue
            passed += 1
            if name in SMALL:
                differ = np.abs(image.astype(int) - truth) > 8
                assert differ.mean() <= SMALL[name]
        if kind in PASSING[name]:
            assert passed <= PASSING[name][kind] * count


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_pictures_are_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    check(name, 60)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_ten_thousand_damaged_pictures_are_refused(name: str) -> None:
    check(name, int(os.environ.get("SEMEDGE_DAMAGED", "10000")) // 4)


def test_any_damage_of_a_tiffs_tags_gives_a_picture_or_a_sentence() -> None:
    written = page(picture()[..., None], compression=LZW)
    content = tiff(written)
    start = content.rindex(written.segments[-1]) + len(written.segments[-1])
    random = np.random.default_rng(2)
    for _ in range(400):
        changed = bytearray(content)
        for at in random.integers(start, len(content), 3):
            changed[at] = int(random.integers(256))
        image = decoded(bytes(changed), "x.tif")
        assert image is None or image.ndim == 2
