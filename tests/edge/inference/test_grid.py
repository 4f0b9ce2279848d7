"""The grid covers every pixel, and maps go back and forth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semedge.core.errors import SemedgeError
from semedge.inference.grid import PatchGrid


@st.composite
def grids(draw: st.DrawFn) -> PatchGrid:
    patch_px = draw(st.integers(1, 12))
    stride_px = draw(st.integers(1, patch_px))
    side_px = st.integers(patch_px, 40)
    return PatchGrid((draw(side_px), draw(side_px)), patch_px, stride_px)


def corners(grid: PatchGrid) -> list[tuple[int, int]]:
    """Top and left of each patch, in the order of the scores."""
    return [(int(top), int(left)) for top in grid.tops for left in grid.lefts]


@given(grids())
def test_every_pixel_lies_in_a_patch_and_no_patch_leaves_the_frame(grid: PatchGrid) -> None:
    covered = np.zeros(grid.frame_shape, int)
    for top, left in corners(grid):
        assert covered[top : top + grid.patch_px, left : left + grid.patch_px].shape == (
            grid.patch_px,
            grid.patch_px,
        )
        covered[top : top + grid.patch_px, left : left + grid.patch_px] += 1
    assert covered.min() >= 1
    assert len(grid) == len(corners(grid)) == len(set(corners(grid)))


@given(grids(), st.sampled_from([np.uint8, np.uint16]), st.integers(0, 2**32 - 1))
def test_cut_gives_the_pixels_of_each_patch(grid: PatchGrid, dtype: type, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, grid.frame_shape, dtype)
    patches = grid.cut(image)
    assert patches.dtype == dtype
    assert patches.shape == (len(grid), grid.patch_px, grid.patch_px, 1)
    for patch, (top, left) in zip(patches, corners(grid), strict=True):
        np.testing.assert_array_equal(
            patch[..., 0], image[top : top + grid.patch_px, left : left + grid.patch_px]
        )


@settings(deadline=None)
@given(grids(), st.integers(0, 2**32 - 1))
def test_to_pixels_is_the_mean_over_the_patches_that_cover_a_pixel(
    grid: PatchGrid, seed: int
) -> None:
    scores = np.random.default_rng(seed).normal(size=len(grid)).astype(np.float32)
    total = np.zeros(grid.frame_shape)
    count = np.zeros(grid.frame_shape)
    for score, (top, left) in zip(scores, corners(grid), strict=True):
        total[top : top + grid.patch_px, left : left + grid.patch_px] += score
        count[top : top + grid.patch_px, left : left + grid.patch_px] += 1
    pixels = grid.to_pixels(scores)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, total / count, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("frame_shape", "patch_px", "stride_px", "tops", "lefts"),
    [
        ((70, 100), 32, 32, [0, 32, 38], [0, 32, 64, 68]),
        ((64, 64), 32, 32, [0, 32], [0, 32]),
        ((64, 65), 32, 16, [0, 16, 32], [0, 16, 32, 33]),
        ((32, 33), 32, 32, [0], [0, 1]),
        ((5, 7), 1, 1, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_the_last_row_and_column_snap_to_the_border(
    frame_shape: tuple[int, int], patch_px: int, stride_px: int, tops: list[int], lefts: list[int]
) -> None:
    grid = PatchGrid(frame_shape, patch_px, stride_px)
    assert grid.tops.tolist() == tops
    assert grid.lefts.tolist() == lefts
    assert grid.shape == (len(tops), len(lefts))


def test_lay_out_goes_row_by_row() -> None:
    grid = PatchGrid((64, 96), 32, 32)
    assert grid.lay_out(np.arange(6.0)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("frame_shape", "patch_px", "stride_px", "values"),
    [
        ((64, 64), 32, 33, "stride_px .* Received: 33"),
        ((64, 64), 32, 0, "stride_px .* Received: 0"),
        ((31, 64), 32, 32, "64x31 px .*32x32 px"),
        ((64, 31), 32, 32, "31x64 px .*32x32 px"),
    ],
)
def test_grids_that_cannot_be(
    frame_shape: tuple[int, int], patch_px: int, stride_px: int, values: str
) -> None:
    with pytest.raises(SemedgeError, match=values):
        PatchGrid(frame_shape, patch_px, stride_px)


def test_a_frame_of_another_shape_is_refused() -> None:
    with pytest.raises(SemedgeError, match=r"\(64, 64\)\. Received: \(64, 65\)"):
        PatchGrid((64, 64), 32, 32).cut(np.zeros((64, 65), np.uint8))
