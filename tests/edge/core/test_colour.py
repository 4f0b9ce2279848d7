"""Pictures in colour are known as such, and gray ones that are saved as colour are not."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from semedge.core.colour import ColourWarning, has_colours
from semedge.core.images import read_picture, to_gray

GRAY = np.random.default_rng(3).integers(0, 256, (64, 96), np.uint8)


def red_square(image: NDArray) -> NDArray:
    """The gray picture in three channels with a red square in it."""
    picture = np.dstack([image] * 3)
    picture[8:40, 16:48] = (20, 30, 200)
    return picture


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".webp"])
def test_files_in_colour_are_known(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    cv2.imwrite(str(path), red_square(GRAY))
    picture = read_picture(path)
    assert picture.colours is not None
    assert picture.colours.shape == (*picture.image.shape, 3)
    assert (picture.colours[10:38, 18:46, 2] > picture.colours[10:38, 18:46, 0] + 100).mean() > 0.9
    np.testing.assert_array_equal(to_gray(picture.colours), picture.image)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_files_are_not(tmp_path: Path, suffix: str, channels: int) -> None:
    smooth = cv2.GaussianBlur(GRAY, (0, 0), 3)
    path = tmp_path / f"picture{suffix}"
    cv2.imwrite(str(path), np.dstack([smooth] * channels) if channels == 3 else smooth)
    assert read_picture(path).colours is None


def test_16_bits_and_alpha() -> None:
    deep = red_square(GRAY).astype(np.uint16) * 257
    assert has_colours(deep)
    alpha = np.dstack([GRAY, GRAY, GRAY, np.zeros_like(GRAY)])
    assert not has_colours(alpha)


@pytest.mark.parametrize(
    ("judged", "sentence"), [(False, " is in colour"), (True, " has no colours")]
)
def test_what_differs_from_what_is_judged_is_said_once(
    judged: bool, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    warning = ColourWarning(judged=judged)
    with caplog.at_level(logging.WARNING):
        warning.check("suitable", in_colour=judged)
        warning.check("first", in_colour=not judged)
        warning.check("second", in_colour=not judged)
    assert [record.message.split(sentence)[0] for record in caplog.records] == ["first"]
