"""Tiles keep every pixel once, see the frame in phase, and keep nothing near an inner border."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semedge.core.errors import SemedgeError
from semedge.inference.tiling import Tiling


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    step_px = draw(st.sampled_from([1, 4, 16]))
    overlap = draw(st.integers(0, 3))
    sides = st.integers(2 * overlap + 1, 2 * overlap + 8)
    tile_shape = (draw(sides) * step_px, draw(sides) * step_px)
    lengths = st.integers(1, 40 * step_px)
    return Tiling((draw(lengths), draw(lengths)), tile_shape, overlap * step_px, step_px)


@given(tilings())
def test_every_pixel_is_used_once(tiling: Tiling) -> None:
    used = np.zeros(tiling.frame_shape, int)
    for rows, columns in tiling:
        used[rows.used_start : rows.used_stop, columns.used_start : columns.used_stop] += 1
    np.testing.assert_array_equal(used, 1)


@given(tilings())
def test_a_tile_shows_what_it_keeps_and_its_surroundings(tiling: Tiling) -> None:
    for spans in tiling:
        for span, length_px, side_px in zip(
            spans, tiling.frame_shape, tiling.tile_shape, strict=True
        ):
            padded_px = -(-length_px // tiling.step_px) * tiling.step_px
            assert span.start % tiling.step_px == span.used_start % tiling.step_px == 0
            assert 0 <= span.start <= span.used_start < span.used_stop <= span.stop <= length_px
            assert span.start == 0 or span.used_start - span.start >= tiling.overlap_px
            assert span.start == 0 or span.start + side_px <= padded_px
            end = span.start + side_px
            assert span.used_stop == length_px or end - span.used_stop >= tiling.overlap_px


@given(tilings())
def test_a_frame_that_fits_is_one_tile(tiling: Tiling) -> None:
    fits = all(
        length <= side for length, side in zip(tiling.frame_shape, tiling.tile_shape, strict=True)
    )
    assert (len(tiling) == 1) == fits


@pytest.mark.parametrize(
    ("frame_shape", "tile_shape", "overlap_px", "values"),
    [
        ((64, 64), (30, 32), 0, r"16 px\. Received: 32x30 px, 0 px"),
        ((64, 64), (32, 32), 8, r"16 px\. Received: 32x32 px, 8 px"),
        ((64, 64), (32, 32), 16, "64x64 px .* 32x32 px .* 16 px"),
    ],
)
def test_tiles_that_cannot_work_are_refused(
    frame_shape: tuple[int, int], tile_shape: tuple[int, int], overlap_px: int, values: str
) -> None:
    with pytest.raises(SemedgeError, match=values):
        Tiling(frame_shape, tile_shape, overlap_px, 16)
