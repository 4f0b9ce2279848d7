"""From normal frames to a whole-frame bundle: the fit, the parity, the tiles, the evaluation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame, GrayImage
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.frame_tiles import cells_of
from semedge.inference.grid import PatchGrid
from semedge.inference.network_input import FrameInput
from semedge.inference.tiling import choose_tile
from semedge.learning.gaussian import gaussian_of
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.texture_gaussian import TextureGaussian
from semedge_trainer.evaluation.protocols import PixelProtocol, ThesisProtocol
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.frames import read_training_frames
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, finish_run, start_run

SHAPE = (160, 224)
REQUEST = TrainingRequest("texture-gaussian", "sim:5?frames=4&size=224x160", {})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "texture"
    started, frames = start_run(folder, REQUEST)
    finish_run(started, frames, choose_strategy(["cpu:0"]))
    return Run.open(folder)


@pytest.fixture(scope="module")
def bundles(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same fit in int8 and float32."""
    folder = tmp_path_factory.mktemp("bundles")
    paths = {name: folder / f"{name}.semedge" for name in ("int8", "float32")}
    export_run(run, paths["int8"], ExportRequest("int8"))
    export_run(run, paths["float32"], ExportRequest("float32"))
    return paths


def image_of(number: int, defect_rate: float = 0.0, shape: tuple[int, int] = SHAPE) -> GrayImage:
    line = SimulatedLine(seed=77, shape=shape, defect_rate=defect_rate)
    return line.frame(number).image


def scores_of(path: Path, image: GrayImage) -> np.ndarray:
    with Detector.load(path) as detector:
        return detector.score(Frame(image, 0, 0.0, "frame")).patch_scores


def test_the_float_graph_gives_the_scores_of_the_keras_network(
    run: Run, bundles: dict[str, Path]
) -> None:
    """The trained network and the score's formula by hand, against the bundle."""
    detector, networks = run.load()
    assert isinstance(detector, TextureGaussian)
    image = image_of(0)
    arrays = run.fitted()
    total = np.zeros(())
    for depth, values in zip((5, 6, 9), detector.features(networks, image).values(), strict=True):
        centred = values - arrays[f"f{depth}_mean"]
        whitened = centred @ arrays[f"f{depth}_whitening"]
        total = total + np.square(whitened).mean(axis=-1) / 3
    frame_input = read_bundle(bundles["float32"]).manifest.input
    assert isinstance(frame_input, FrameInput)
    inside = frame_input.model_copy(update={"margin_px": 0})
    grid = PatchGrid(image.shape, 8, 8)
    expected = cells_of(total.astype(np.float32), grid, inside)
    scores = scores_of(bundles["float32"], image).reshape(grid.shape)
    # At the border the map goes on beyond the frame, which `features` leaves out.
    np.testing.assert_allclose(scores[4:-4, 4:-4], expected[4:-4, 4:-4], rtol=0.02)


def test_int8_ranks_as_float_does(bundles: dict[str, Path]) -> None:
    image = image_of(1, defect_rate=1.0)
    by_float, by_int8 = (scores_of(bundles[name], image) for name in ("float32", "int8"))
    assert np.corrcoef(by_float, by_int8)[0, 1] > 0.95
    parity = read_bundle(bundles["int8"]).manifest.parity
    assert set(parity) == {"texture", "texture_5", "texture_6", "texture_9"}
    assert parity["texture"].rank_correlation > 0.9
    assert abs(parity["texture"].auroc_keras - parity["texture"].auroc_exported) < 0.02


def test_tiles_leave_no_seam(run: Run, tmp_path: Path) -> None:
    """The network looks 105 px around itself; tiles of 416 px overlap by 112 px on each side."""
    wide = image_of(0, shape=(160, 600))
    tiled, whole = tmp_path / "tiled.semedge", tmp_path / "whole.semedge"
    for path, width in ((tiled, 416), (whole, 672)):
        export_run(
            run,
            path,
            ExportRequest(
                "float32", score_name="texture_6", only_score=True, tile_shape=(224, width)
            ),
        )
    np.testing.assert_allclose(scores_of(tiled, wide), scores_of(whole, wide), rtol=1e-3)


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


def test_the_thesis_protocol_takes_the_highest_cell_of_a_patch(bundles: dict[str, Path]) -> None:
    image = image_of(2)
    with Detector.load(bundles["int8"], score_names=["texture"]) as scorer:
        grid = ThesisProtocol().grid(image.shape, ThesisProtocol().patch_px(scorer))
        assert (grid.patch_px, grid.stride_px) == (32, 16)
        everything = np.arange(len(grid))
        by_patch = scorer.score_chosen(image, grid, everything)["texture"].reshape(grid.shape)
        cells = PixelProtocol(8).grid(image.shape, scorer.patch_px)
        by_cell = scorer.score_chosen(image, cells, np.arange(len(cells)))["texture"]
    by_cell = by_cell.reshape(cells.shape)
    assert by_patch[2, 3] == pytest.approx(by_cell[4:8, 6:10].max(), rel=1e-6)


def test_one_depth_alone_leaves_the_others_out(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "small.semedge"
    manifest = export_run(
        run, path, ExportRequest("float16", score_name="texture_6", only_score=True)
    )
    assert set(manifest.members) == {
        "blocks5.tflite",
        "blocks6.tflite",
        "f6_mean.npy",
        "f6_whitening.npy",
    }
    assert np.isfinite(scores_of(path, image_of(0))).all()


def test_quantization_aware_training_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"texture-gaussian.* qat"):
        export_run(run, tmp_path / "x.semedge", ExportRequest("qat"))


def test_features_that_never_vary_are_refused() -> None:
    with pytest.raises(SemedgeError, match="as frames of one gray have"):
        gaussian_of(np.full((50, 4), 3.0, np.float32), 1e-3, 1.0)


def test_frames_of_one_gray_give_finite_scores(tmp_path: Path) -> None:
    """Such frames have features that vary at the border alone: a singular covariance."""
    folder = tmp_path / "gray"
    folder.mkdir()
    cv2.imwrite(str(folder / "gray.png"), np.full((64, 96), 90, np.uint8))
    detector = make_detector("texture-gaussian", {"depths": "6"}, "fast")
    assert isinstance(detector, TextureGaussian)
    frames = read_training_frames(str(folder), detector.patch_px)
    arrays = detector.fit_frames(detector.build(), frames.images)
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_one_frame_of_the_smallest_size_gives_finite_scores(tmp_path: Path) -> None:
    """Four places for forty features, the singular covariance of few and tiny frames."""
    request = TrainingRequest("texture-gaussian", "sim:5?frames=1&size=32x32", {"depths": "6"})
    started, frames = start_run(tmp_path / "run", request)
    finish_run(started, frames, choose_strategy(["cpu:0"]))
    export_run(Run.open(tmp_path / "run"), tmp_path / "tiny.semedge", ExportRequest("int8"))
    for image in (frames.images[0], image_of(0)[:32, :20], np.zeros((32, 32), np.uint8)):
        assert np.isfinite(scores_of(tmp_path / "tiny.semedge", image)).all()


@pytest.mark.parametrize("count", [5, 200])
def test_the_whitening_holds_for_few_samples_too(count: int) -> None:
    """With fewer samples than dimensions the covariance is singular; distances stay sane."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(40, 40))
    features = (random.normal(size=(count, 40)) @ mixing).astype(np.float32)
    fresh = (random.normal(size=(500, 40)) @ mixing).astype(np.float32)
    mean, whitening = gaussian_of(features, 1e-3, 1.0)
    distances = np.square((fresh - mean) @ whitening).mean(axis=1)
    assert np.isfinite(whitening).all()
    assert distances.mean() < 10


@pytest.mark.parametrize(("setting", "scaling"), [("true", "local"), ("false", "range")])
def test_even_light_is_an_option(setting: str, scaling: str) -> None:
    detector = make_detector("texture-gaussian", {"even_light": setting}, "fast")
    assert isinstance(detector, TextureGaussian)
    assert detector.frame_input().scaling == scaling


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(SemedgeError, match=r"magnification.* 0\.1 and 8.*9"):
        make_detector("texture-gaussian", {"magnification": "9"}, "fast")


@pytest.mark.parametrize(
    ("shape", "largest_px", "expected"),
    [
        ((768, 1088), 2_000_000, (768, 1088)),
        ((760, 1080), 2_000_000, (768, 1088)),
        ((160, 900), 120_000, (160, 640)),
    ],
)
def test_tiles_do_the_least_work(
    shape: tuple[int, int], largest_px: int, expected: tuple[int, int]
) -> None:
    assert choose_tile(shape, 176, 16, largest_px) == expected


def test_frames_that_no_tile_covers_are_refused() -> None:
    with pytest.raises(SemedgeError, match=r"6000x6000 px.* 100,000 px"):
        choose_tile((6000, 6000), 176, 16, 100_000)
