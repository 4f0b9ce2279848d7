"""Whole frames: the formula, tiles without a seam, and frames of every size and depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from frame_bundles import (
    CELL_PX,
    FRAME_SHAPE,
    GRAPHS,
    STRIDE_PX,
    frame_bundle,
    frame_manifest,
    frame_members,
    small_frames,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame, GrayImage
from semedge.inference.bundle import read_bundle, write_bundle
from semedge.inference.detector import Detector
from semedge.inference.frame_tiles import grouped
from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Manifest
from semedge.inference.scaling import scale_patches
from semedge.inference.scores.features import texture_6


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(frame_bundle(tmp_path_factory.mktemp("tiled") / "tiny.semedge"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    path = tmp_path_factory.mktemp("whole") / "tiny.semedge"
    return Detector.load(frame_bundle(path, "tiny_frame"))


def frame_of(image: GrayImage) -> Frame:
    return Frame(image, 0, 0.0, "frame")


def scores_of(detector: Detector, image: GrayImage) -> np.ndarray:
    return detector.score(frame_of(image)).patch_scores


def test_scores_are_those_of_the_graph_and_the_formula(whole: Detector) -> None:
    image = small_frames()[0]
    graph = Graph((GRAPHS / "tiny_frame.tflite").read_bytes(), "tiny_frame")
    features = graph.run(scale_patches(image[None, ..., None], "range"))[0]
    distances = texture_6(features.reshape(-1, 5), **whole.bundle.arrays())
    by_feature = distances.reshape(FRAME_SHAPE[0] // STRIDE_PX, FRAME_SHAPE[1] // STRIDE_PX)
    # A cell of 8 px has its centre between four values, 4 px apart.
    rows, columns = FRAME_SHAPE[0] // CELL_PX, FRAME_SHAPE[1] // CELL_PX
    expected = by_feature.reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    score_map = whole.score(frame_of(image))
    np.testing.assert_allclose(score_map.patch_scores, expected.ravel(), rtol=1e-4, atol=1e-4)
    assert set(score_map.stage_ms) == {"scale", "features", "score"}
    assert np.mean(distances) == pytest.approx(1.0, abs=0.3)


def test_a_finer_map_is_grouped_by_place() -> None:
    fine = np.arange(4 * 6 * 2, dtype=np.float32).reshape(4, 6, 2)
    places = grouped(fine, (2, 3))
    assert places.shape == (2, 3, 8)
    np.testing.assert_array_equal(places[1, 2], fine[2:, 4:].ravel())
    assert grouped(fine, (4, 6)) is fine


def test_tiles_leave_no_seam_where_light_is_evened_out(tmp_path: Path) -> None:
    """What surrounds a pixel is looked up in the frame, not in the tile."""
    tiny = frame_bundle(tmp_path / "tiled.semedge", scaling="local")
    large = frame_bundle(tmp_path / "whole.semedge", "tiny_frame", scaling="local")
    with Detector.load(tiny) as tiled, Detector.load(large) as whole:
        image = small_frames()[1]
        np.testing.assert_array_equal(scores_of(tiled, image), scores_of(whole, image))


def test_light_and_exposure_do_not_matter_where_light_is_evened_out(tmp_path: Path) -> None:
    """Half as bright on the left, and two thirds as bright in all."""
    image = small_frames()[0].astype(np.uint16) * 200
    shade = np.linspace(0.5, 1.0, FRAME_SHAPE[1]) * 2 / 3
    shaded = (image * shade).astype(np.uint16)
    similarity = {}
    for scaling in ("local", "range"):
        path = frame_bundle(tmp_path / f"{scaling}.semedge", "tiny_frame", scaling=scaling)
        with Detector.load(path) as detector:
            pair = scores_of(detector, image), scores_of(detector, shaded)
        similarity[scaling] = np.corrcoef(*pair)[0, 1]
    assert similarity["local"] > 0.95
    assert similarity["local"] > similarity["range"]


def test_tiles_leave_no_seam(tiled: Detector, whole: Detector) -> None:
    for image in small_frames():
        np.testing.assert_array_equal(scores_of(tiled, image), scores_of(whole, image))


def test_less_overlap_than_the_network_looks_around_leaves_a_seam(
    tmp_path: Path, whole: Detector
) -> None:
    """The test above can fail."""
    with Detector.load(frame_bundle(tmp_path / "tiny.semedge", overlap_px=0)) as seamed:
        image = small_frames()[0]
        assert np.abs(scores_of(seamed, image) - scores_of(whole, image)).max() > 0.01


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 120), st.integers(8, 160), st.sampled_from([np.uint8, np.uint16]))
def test_frames_of_every_size_are_scored(
    tiled: Detector, height: int, width: int, dtype: type
) -> None:
    image = np.random.default_rng(height).integers(0, np.iinfo(dtype).max, (height, width), dtype)
    score_map = tiled.score(frame_of(image))
    assert score_map.to_pixels().shape == (height, width)
    assert np.isfinite(score_map.patch_scores).all()
    left, top = score_map.peak_px
    assert 0 <= left < width
    assert 0 <= top < height


def test_8_and_16_bits_agree(tiled: Detector) -> None:
    image = small_frames()[0]
    np.testing.assert_allclose(
        scores_of(tiled, image.astype(np.uint16) * 257), scores_of(tiled, image), rtol=1e-4
    )


def test_a_spot_changes_the_scores_around_it_alone(tiled: Detector) -> None:
    image = small_frames()[0]
    spotted = image.copy()
    spotted[40:48, 64:72] = 255 - spotted[40:48, 64:72]
    changed = scores_of(tiled, spotted) != scores_of(tiled, image)
    rows, columns = np.nonzero(changed.reshape(FRAME_SHAPE[0] // CELL_PX, -1))
    assert {(5, 8)} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert rows.min() >= 4
    assert rows.max() <= 6
    assert columns.min() >= 7
    assert columns.max() <= 9


@pytest.mark.parametrize(("margin_px", "magnification"), [(0, 1.0), (16, 1.0), (16, 2.0)])
def test_margin_and_magnification_move_nothing(
    tmp_path: Path, margin_px: int, magnification: float
) -> None:
    frame = small_frames()[0]
    spotted = frame.copy()
    spotted[36:52, 60:76] = 255
    path = frame_bundle(tmp_path / "tiny.semedge", margin_px=margin_px, magnification=magnification)
    with Detector.load(path) as detector:
        change = np.abs(scores_of(detector, spotted) - scores_of(detector, frame))
    change = change.reshape(FRAME_SHAPE[0] // CELL_PX, -1)
    rows, columns = np.nonzero(change > 0.2 * change.max())
    assert rows.mean() * CELL_PX + CELL_PX / 2 == pytest.approx(44, abs=CELL_PX)
    assert columns.mean() * CELL_PX + CELL_PX / 2 == pytest.approx(68, abs=CELL_PX)


def test_smoothing_lowers_the_peak_and_keeps_the_mean(tmp_path: Path, tiled: Detector) -> None:
    image = small_frames()[0]
    with Detector.load(frame_bundle(tmp_path / "tiny.semedge", smoothing_px=8.0)) as smooth:
        smoothed, plain = scores_of(smooth, image), scores_of(tiled, image)
    assert smoothed.max() < plain.max()
    assert smoothed.mean() == pytest.approx(plain.mean(), rel=0.05)


def test_the_border_has_the_scores_of_the_places_beside_it(tmp_path: Path, tiled: Detector) -> None:
    image = small_frames()[0]
    rows = FRAME_SHAPE[0] // CELL_PX
    plain = scores_of(tiled, image).reshape(rows, -1)
    with Detector.load(frame_bundle(tmp_path / "tiny.semedge", border_px=1.5 * CELL_PX)) as inner:
        scores = scores_of(inner, image).reshape(rows, -1)
    np.testing.assert_allclose(scores[1:-1, 1:-1], plain[1:-1, 1:-1], rtol=1e-5)
    np.testing.assert_allclose(scores, np.pad(plain[1:-1, 1:-1], 1, mode="edge"), rtol=1e-5)


def test_a_finer_map_is_a_smaller_stride(tmp_path: Path) -> None:
    path = frame_bundle(tmp_path / "tiny.semedge")
    with Detector.load(path, stride_px=4) as fine, Detector.load(path) as coarse:
        image = small_frames()[0]
        assert len(scores_of(fine, image)) > 3 * len(scores_of(coarse, image))


@pytest.mark.parametrize("workers", [1, 3])
def test_scores_do_not_depend_on_the_threads(tmp_path: Path, tiled: Detector, workers: int) -> None:
    with Detector.load(frame_bundle(tmp_path / "tiny.semedge"), workers=workers) as other:
        np.testing.assert_array_equal(
            scores_of(other, small_frames()[0]), scores_of(tiled, small_frames()[0])
        )


def test_a_frame_smaller_than_a_cell_is_refused(tiled: Detector) -> None:
    with pytest.raises(SemedgeError, match=r"30x7 px .*8x8 px"):
        tiled.score(frame_of(np.zeros((7, 30), np.uint8)))


@pytest.mark.parametrize(
    "changes",
    [{"format_version": 1}, {"stride_px": 9}, {"input": {"patch_px": 8}}],
)
def test_a_manifest_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(frame_manifest("tiny_tile") | changes)


def test_a_graph_of_another_tile_is_refused(tmp_path: Path) -> None:
    members = frame_members("tiny_tile")
    manifest = Manifest.model_validate(frame_manifest("tiny_tile", tile_width_px=64))
    path = tmp_path / "other.semedge"
    write_bundle(path, manifest, members)
    assert read_bundle(path).manifest.format_version == 2
    with pytest.raises(SemedgeError, match=r"other\.semedge .*8x8 px"):
        Detector.load(path)
