"""A student of pretrained features: what it predicts, its formula on the edge, and int8."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame, GrayImage
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.frame_tiles import cells_of
from semedge.inference.grid import PatchGrid
from semedge.inference.network_input import FrameInput
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import Networks
from semedge_trainer.detectors.texture_student import (
    DEPTHS,
    MOST_VIEWS,
    WIDTHS,
    TextureStudent,
    _shifted,
)
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, finish_run, start_run

SHAPE = (160, 224)
REQUEST = TrainingRequest("texture-student", "sim:5?frames=3&size=224x160", {}, steps=200)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "student"
    started, frames = start_run(folder, REQUEST)
    finish_run(started, frames, choose_strategy(["cpu:0"]))
    return Run.open(folder)


@pytest.fixture(scope="module")
def bundles(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same training in int8 and float32."""
    folder = tmp_path_factory.mktemp("bundles")
    paths = {name: folder / f"{name}.semedge" for name in ("int8", "float32")}
    export_run(run, paths["int8"], ExportRequest("int8"))
    export_run(run, paths["float32"], ExportRequest("float32"))
    return paths


def image_of(number: int) -> GrayImage:
    return SimulatedLine(seed=77, shape=SHAPE, defect_rate=0.0).frame(number).image


def scores_of(path: Path, image: GrayImage) -> np.ndarray:
    with Detector.load(path) as detector:
        return detector.score(Frame(image, 0, 0.0, "frame")).patch_scores


def left_over(run: Run, networks: Networks, image: GrayImage) -> float:
    """Mean square of what a student leaves over, as a share of that of the whitened features."""
    detector = run.detector()
    assert isinstance(detector, TextureStudent)
    arrays, shown = run.fitted(), detector.shown(image)
    values = networks["student"](shown.values)
    missed, everything = 0.0, 0.0
    for depth in DEPTHS:
        features = detector.features(networks, image)[f"f{depth}"]
        whitened = (features - arrays[f"f{depth}_mean"]) @ arrays[f"f{depth}_whitening"]
        foreseen = shown.inside(networks[f"foreseen{depth}"](values))
        missed += float(np.square(whitened - foreseen).sum())
        everything += float(np.square(whitened).sum())
    return missed / everything


def test_the_student_learns_to_foresee_features(run: Run) -> None:
    _, networks = run.load()
    untaught = run.detector().build()
    for image in run.frames():
        assert left_over(run, networks, image) < 0.97
        assert left_over(run, untaught, image) > 0.98


def test_the_float_graph_gives_the_formula_of_the_keras_networks(
    run: Run, bundles: dict[str, Path]
) -> None:
    detector, networks = run.load()
    assert isinstance(detector, TextureStudent)
    image, arrays = image_of(0), run.fitted()
    shown = detector.shown(image)
    values = tf.convert_to_tensor(networks["student"](shown.values))
    total = np.zeros(())
    for depth in DEPTHS:
        features = detector.features(networks, image)[f"f{depth}"]
        whitened = (features - arrays[f"f{depth}_mean"]) @ arrays[f"f{depth}_whitening"]
        error = whitened - shown.inside(networks[f"foreseen{depth}"](values))
        distance = (error - arrays[f"e{depth}_mean"]) @ arrays[f"e{depth}_whitening"]
        total = total + np.square(distance).mean(axis=-1) / len(DEPTHS)
    frame_input = read_bundle(bundles["float32"]).manifest.input
    assert isinstance(frame_input, FrameInput)
    inside = frame_input.model_copy(update={"margin_px": 0})
    grid = PatchGrid(image.shape, 8, 8)
    expected = cells_of(total.astype(np.float32), grid, inside)
    scores = scores_of(bundles["float32"], image).reshape(grid.shape)
    # At the border the map goes on beyond the frame, which `features` leaves out.
    np.testing.assert_allclose(scores[4:-4, 4:-4], expected[4:-4, 4:-4], rtol=0.02)


def test_normal_texture_has_a_distance_of_one(run: Run, bundles: dict[str, Path]) -> None:
    for path in bundles.values():
        found = np.mean([scores_of(path, image).mean() for image in run.frames()])
        assert found == pytest.approx(1.0, abs=0.1)


def test_int8_ranks_as_float_does(bundles: dict[str, Path]) -> None:
    parity = read_bundle(bundles["int8"]).manifest.parity
    assert set(parity) == {"unforeseen", *(f"unforeseen_{depth}" for depth in DEPTHS)}
    assert parity["unforeseen"].rank_correlation > 0.9
    assert abs(parity["unforeseen"].auroc_keras - parity["unforeseen"].auroc_exported) < 0.02


def test_defects_stand_out(bundles: dict[str, Path]) -> None:
    normal = max(scores_of(bundles["int8"], image_of(number)).max() for number in range(3))
    film = image_of(0).copy()
    film[60:108, 80:144] = cv2.GaussianBlur(film, (0, 0), 8)[60:108, 80:144]
    with Detector.load(bundles["int8"]) as detector:
        score_map = detector.score(Frame(film, 0, 0.0, "film"))
    assert score_map.frame_score > normal
    x, y = score_map.peak_px
    assert 72 <= x < 152
    assert 52 <= y < 116


def test_a_narrow_student_has_fewer_filters() -> None:
    wide, narrow = (
        make_detector("texture-student", {"width": width}, "fast").build() for width in WIDTHS
    )
    assert narrow["student"].output_shape[-1] == 32
    assert narrow["student"].count_params() < wide["student"].count_params() / 2


@pytest.mark.parametrize(("count", "views"), [(1, 9), (5, 45), (20, 40), (45, 45), (100, 34)])
def test_every_frame_is_shown_as_it_is_and_as_often_shifted_as_the_bound_allows(
    count: int, views: int
) -> None:
    images = tuple(np.full((64, 80), number, np.uint8) for number in range(count))
    shown = list(_shifted(images))
    assert len(shown) == views <= MOST_VIEWS
    assert len({image.shape for image in shown}) == min(9, MOST_VIEWS // min(count, MOST_VIEWS))
    assert shown[0].shape == (64, 80)


def test_the_networks_of_a_tile_are_those_that_were_trained(run: Run) -> None:
    detector, networks = run.load()
    assert isinstance(detector, TextureStudent)
    fixed = detector.networks_for(networks, (224, 288))
    values = np.random.default_rng(3).uniform(-1, 1, (1, 224, 288, 1)).astype(np.float32)
    for name in ("student", "foreseen6"):
        values_of = [np.asarray(each[name](values)) for each in (networks, fixed)]
        np.testing.assert_allclose(*values_of, rtol=1e-4, atol=1e-5)
        values = values_of[0]
