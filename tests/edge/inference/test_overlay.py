"""The pictures of an alert show the frame as it was, and where it is not normal."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.grid import PatchGrid
from semedge.inference.overlay import (
    CONTOUR_BGR,
    PEAK_BGR,
    draw_overlay,
    encode_png,
    heat,
    view_8_bit,
)
from semedge.inference.score_map import ScoreMap

GRID = PatchGrid((96, 128), 32, 16)
THRESHOLD = 2.0


def score_map_of(scores: NDArray) -> ScoreMap:
    return ScoreMap(GRID, scores.astype(np.float32).ravel(), {})


def one_hot(row: int, column: int, score: float) -> ScoreMap:
    scores = np.ones(GRID.shape)
    scores[row, column] = score
    return score_map_of(scores)


def decoded(content: bytes) -> NDArray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def has_colour(picture: NDArray, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return (picture == colour).all(axis=-1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_frame_is_stored_bit_for_bit(dtype: type) -> None:
    image = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (50, 70), dtype)
    again = decoded(encode_png(image))
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, image)


def test_an_image_that_is_no_picture_is_refused() -> None:
    with pytest.raises(SemedgeError, match=r"shape \(0, 5\) and type uint8"):
        encode_png(np.zeros((0, 5), np.uint8))


def test_a_12_bit_camera_is_not_black() -> None:
    image = np.linspace(0, 4095, 10_000).astype(np.uint16).reshape(100, 100)
    view = view_8_bit(image)
    assert view.dtype == np.uint8
    assert (int(view.min()), int(view.max())) == (0, 255)
    assert 120 < view.mean() < 135
    assert view_8_bit(np.full((9, 9), 700, np.uint16)).max() == 0


def test_8_bit_values_are_shown_as_they_are() -> None:
    image = np.arange(40, 90, dtype=np.uint8).reshape(5, 10)
    np.testing.assert_array_equal(view_8_bit(image), image)


@pytest.mark.parametrize(
    ("scores", "threshold", "expected"),
    [
        ([1, 1, 1, 2, 3, 9, 0], 2.0, [0, 0, 0, 0.5, 1, 1, 0]),
        ([-3, -3, -3, -2, -1, 0, -4], -2.0, [0, 0, 0, 0.5, 1, 1, 0]),
        ([5, 5, 5, 7, 9, 5, 1], 2.0, [0, 0, 0, 0.5, 1, 0, 0]),
        ([0, 0, 0, 0], 0.0, [0, 0, 0, 0]),
    ],
)
def test_heat_runs_from_the_median_to_one_and_a_half_thresholds(
    scores: list[float], threshold: float, expected: list[float]
) -> None:
    np.testing.assert_allclose(heat(np.array([scores], np.float32), threshold)[0], expected)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30),
    st.floats(-1e6, 1e6, width=32),
)
def test_heat_is_a_share_and_never_falls_as_the_score_rises(
    scores: list[float], threshold: float
) -> None:
    warmth = heat(np.array([sorted(scores)], np.float32), threshold)[0]
    assert ((warmth >= 0) & (warmth <= 1)).all()
    assert (np.diff(warmth) >= 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_overlay_marks_the_place_and_leaves_normal_material_as_it_is(dtype: type) -> None:
    image = np.full((96, 128), np.iinfo(dtype).max // 2, dtype)
    image[::2] //= 2
    overlay = draw_overlay(image, one_hot(2, 4, 9.0), THRESHOLD)
    assert overlay.dtype == np.uint8
    assert overlay.shape == (96, 256, 3)
    frame, heat_map = overlay[:, :128], overlay[:, 128:]

    rows, columns = np.nonzero(has_colour(frame, CONTOUR_BGR))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (32, 63, 64, 95)
    peak = has_colour(heat_map, PEAK_BGR)
    assert peak[48, 80]

    expected = np.repeat(view_8_bit(image)[..., None], 3, axis=2)
    np.testing.assert_array_equal(frame[:, :60], expected[:, :60])
    np.testing.assert_array_equal(heat_map[:, :60], expected[:, :60])
    colour = np.ptp(heat_map[52:60, 68:92].astype(int), axis=-1)
    assert np.median(colour) > 30, "the anomalous place is tinted"


def test_a_small_defect_under_overlapping_patches_has_a_contour() -> None:
    score_map = one_hot(2, 4, THRESHOLD * 1.05)
    assert score_map.to_pixels().max() < THRESHOLD
    overlay = draw_overlay(np.zeros((96, 128), np.uint8), score_map, THRESHOLD)
    assert has_colour(overlay[:, :128], CONTOUR_BGR).any()


def test_nothing_above_the_threshold_gives_no_contour() -> None:
    overlay = draw_overlay(np.zeros((96, 128), np.uint8), one_hot(2, 4, THRESHOLD), THRESHOLD)
    assert not has_colour(overlay[:, :128], CONTOUR_BGR).any()


def test_a_frame_that_is_anomalous_everywhere_is_drawn() -> None:
    overlay = draw_overlay(
        np.zeros((96, 128), np.uint8), score_map_of(np.full(GRID.shape, 50.0)), THRESHOLD
    )
    contour = has_colour(overlay[:, :128], CONTOUR_BGR)
    assert contour[0].all()
    assert contour[:, -1].all()


def test_what_is_left_out_is_darkened_in_both_halves() -> None:
    image = np.full((96, 128), 200, np.uint8)
    left_out = np.zeros(image.shape, bool)
    left_out[8:32, 16:60] = True
    plain = draw_overlay(image, one_hot(2, 4, 9.0), THRESHOLD)
    overlay = draw_overlay(image, one_hot(2, 4, 9.0), THRESHOLD, left_out)
    differs = (overlay != plain).any(axis=2)
    np.testing.assert_array_equal(differs, np.concatenate([left_out, left_out], axis=1))
    assert (overlay[differs] < plain[differs]).all()
