"""Frames split into fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.decision.fields import parse_fields, split_frame


def frame_of(height_px: int, width_px: int) -> Frame:
    image = np.arange(height_px * width_px, dtype=np.uint16).reshape(height_px, width_px)
    return Frame(image, sequence=7, captured_at_s=12.5, source="line/a.png")


@pytest.mark.parametrize(
    ("text", "size_px"), [("256x256", (256, 256)), ("1x2", (1, 2)), ("999999x1", (999999, 1))]
)
def test_parse_fields(text: str, size_px: tuple[int, int]) -> None:
    assert parse_fields(text) == size_px


@pytest.mark.parametrize(
    "text",
    ["", "256", "256x", "x256", "0x256", "-1x5", "2.5x5", "256X256", "1x2x3", " 1x2", "1x2\n"],
)
def test_parse_fields_refuses(text: str) -> None:
    with pytest.raises(SemedgeError, match="WIDTHxHEIGHT") as error:
        parse_fields(text)
    assert repr(text) in str(error.value)


def test_fields_row_by_row() -> None:
    fields = list(split_frame(frame_of(5, 7), (3, 2), patch_px=2))
    assert [field.image[0, 0] for field in fields] == [0, 3, 14, 17]
    np.testing.assert_array_equal(fields[3].image, [[17, 18, 19], [24, 25, 26]])
    assert fields[3].source == "line/a.png (field at 3,2)"
    assert {(field.sequence, field.captured_at_s) for field in fields} == {(7, 12.5)}


@given(
    height_px=st.integers(1, 40),
    width_px=st.integers(1, 40),
    field_height_px=st.integers(1, 40),
    field_width_px=st.integers(1, 40),
)
def test_fields_are_whole_and_do_not_overlap(
    height_px: int, width_px: int, field_height_px: int, field_width_px: int
) -> None:
    frame = frame_of(height_px, width_px)
    size_px = (field_width_px, field_height_px)
    if field_height_px > height_px or field_width_px > width_px:
        with pytest.raises(
            SemedgeError, match=f"{field_width_px}x{field_height_px} px .*{width_px}x{height_px} px"
        ):
            list(split_frame(frame, size_px, patch_px=1))
        return
    fields = list(split_frame(frame, size_px, patch_px=1))
    assert len(fields) == (height_px // field_height_px) * (width_px // field_width_px)
    assert {field.shape for field in fields} == {(field_height_px, field_width_px)}
    pixels = np.concatenate([field.image.ravel() for field in fields])
    assert len(np.unique(pixels)) == len(pixels)


def test_fields_share_the_frames_memory() -> None:
    frame = frame_of(8, 8)
    assert all(
        np.shares_memory(field.image, frame.image) for field in split_frame(frame, (4, 4), 4)
    )


@pytest.mark.parametrize(
    ("size_px", "values"),
    [
        ((8, 4), r"8x4 px .*line/a\.png of 7x5 px"),
        ((4, 8), r"4x8 px .*line/a\.png of 7x5 px"),
        ((2, 3), "2x3 px .*patches of 3x3 px"),
    ],
)
def test_fields_that_do_not_fit(size_px: tuple[int, int], values: str) -> None:
    with pytest.raises(SemedgeError, match=values):
        list(split_frame(frame_of(5, 7), size_px, patch_px=3))
