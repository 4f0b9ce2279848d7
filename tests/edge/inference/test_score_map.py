"""Regions are the connected parts of what patches above the level cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semedge.core.event import Region
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import ScoreMap


def score_map(rows: list[list[float]], stride_px: int = 8) -> ScoreMap:
    scores = np.array(rows, np.float32)
    height, width = (8 + stride_px * (count - 1) for count in scores.shape)
    return ScoreMap(PatchGrid((height, width), 8, stride_px), scores.ravel(), {})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0, 0], [0, 2]], []),
        ([[0, 0], [0, 3]], [Region(8, 8, 8, 8, 64, (12, 12), 3.0)]),
        (
            [[5, 0, 0, 3], [4, 0, 0, 0]],
            [Region(0, 0, 8, 16, 128, (4, 4), 5.0), Region(24, 0, 8, 8, 64, (28, 4), 3.0)],
        ),
        # Patches that touch at a corner are one region.
        ([[3, 0], [0, 4]], [Region(0, 0, 16, 16, 128, (12, 12), 4.0)]),
    ],
)
def test_regions_of_patches_side_by_side(rows: list, expected: list[Region]) -> None:
    assert score_map(rows).regions(2.0) == tuple(expected)


def test_overlapping_patches_are_covered_once() -> None:
    assert score_map([[3, 0, 4]], stride_px=4).regions(2.0) == (
        Region(0, 0, 16, 8, 128, (12, 4), 4.0),
    )


def test_the_number_of_regions_is_bounded_and_the_worst_remain() -> None:
    scores = np.zeros((9, 9), np.float32)
    scores[::2, ::2] = 3 + np.arange(25).reshape(5, 5)
    regions = score_map(scores.tolist()).regions(2.0, most=4)
    assert [region.score for region in regions] == [27.0, 26.0, 25.0, 24.0]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([3, 4, 8]))
def test_regions_share_the_covered_pixels_among_them(
    rows: int, columns: int, seed: int, stride_px: int
) -> None:
    scores = np.random.default_rng(seed).random((rows, columns)).astype(np.float32)
    made = score_map(scores.tolist(), stride_px)
    regions = made.regions(0.6, most=36)
    assert sum(region.area_px for region in regions) == made.covered_pixels(0.6).sum()
    if scores.max() > 0.6:
        assert regions[0].score == made.frame_score
        assert regions[0].peak_px == made.peak_px
    else:
        assert regions == ()
