"""What can be a frame."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame


@pytest.mark.parametrize(("dtype", "full_scale"), [(np.uint8, 255), (np.uint16, 65_535)])
def test_a_frame_of_an_array_alone(dtype: type, full_scale: int) -> None:
    frame = Frame(np.zeros((3, 5), dtype))
    assert frame.shape == (3, 5)
    assert frame.full_scale == full_scale
    assert (frame.sequence, frame.source) == (0, "the image")
    assert frame.captured_at_s == pytest.approx(time.time(), abs=10)


@pytest.mark.parametrize(
    ("image", "received"),
    [
        (np.zeros((3, 5)), r"dtype float64, shape \(3, 5\)"),
        (np.zeros((3, 5, 3), np.uint8), r"dtype uint8, shape \(3, 5, 3\)"),
        (np.zeros((0, 5), np.uint8), r"dtype uint8, shape \(0, 5\)"),
        (np.zeros((3, 5), ">u2"), r"dtype >u2, shape \(3, 5\)"),
        (np.zeros((3, 5), bool), r"dtype bool, shape \(3, 5\)"),
        ([[0, 1], [2, 3]], "Received: list"),
        ("scan.png", "Received: str"),
    ],
)
def test_what_cannot_be_a_frame(image: Any, received: str) -> None:
    with pytest.raises(SemedgeError, match=received):
        Frame(image)


def test_the_picture_is_in_colour_where_there_are_colours() -> None:
    image = np.zeros((3, 5), np.uint8)
    colours = np.zeros((3, 5, 3), np.uint8)
    assert Frame(image).picture is image
    assert Frame(image, colours=colours).picture is colours


@pytest.mark.parametrize(
    "colours",
    [np.zeros((3, 5), np.uint8), np.zeros((3, 4, 3), np.uint8), np.zeros((3, 5, 3), np.uint16)],
)
def test_colours_must_fit_the_image(colours: Any) -> None:
    with pytest.raises(SemedgeError, match=r"dtype of its image, uint8 \(3, 5\). Received"):
        Frame(np.zeros((3, 5), np.uint8), colours=colours)
