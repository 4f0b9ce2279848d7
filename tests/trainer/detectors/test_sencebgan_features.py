"""SENCEBGAN on features: the whitening, what its stages learn, and its export."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.network_input import FrameInput
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.sencebgan_features import SencebganFeatures
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, finish_run, start_run

STEPS = 240
SHAPE = (160, 224)
SCORES = {
    "energy",
    "im1",
    "im2",
    "final_1",
    "final_2",
    "final_3",
    "comb_im",
    "comb_z",
    "norm",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "features"
    request = TrainingRequest("sencebgan-features", "sim:5?frames=3&size=224x160", {}, steps=STEPS)
    started, frames = start_run(folder, request)
    finish_run(started, frames, choose_strategy(["cpu:0"]))
    return Run.open(folder)


def test_networks_give_float32_under_mixed_precision() -> None:
    detector = make_detector("sencebgan-features", {}, "fast")
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        networks = detector.build()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    trained = set(networks) - {name for name in networks if name.startswith("blocks")}
    assert {"encoder", "generator", "embedding", "decoder", "whitening"} <= trained
    assert {networks[name].output.dtype for name in trained} == {"float32"}


def whitened(run: Run) -> tuple[dict[str, object], np.ndarray]:
    """The trained networks, and the whitened features `(places, 1, 1, directions)` of a frame."""
    detector, networks = run.load()
    assert isinstance(detector, SencebganFeatures)
    features = detector.gather(run.frames(), lambda image: detector.features(networks, image))
    joined = np.concatenate([features["f6"], features["f9"]], axis=1)
    return networks, np.asarray(networks["whitening"](joined[:, None, None, :]))


def test_the_whitening_is_that_of_normal_features(run: Run) -> None:
    _, items = whitened(run)
    flat = items[:, 0, 0, :]
    assert flat.shape[1] == 60 + 84
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.02)
    # The shrinkage and the ridge take something off the smallest variances.
    assert 0.3 < flat.var(axis=0).mean() <= 1.01


def test_the_stages_learn(run: Run) -> None:
    """D and G(E) tell an item better than its mean does, and E_R finds the latent again."""
    networks, items = whitened(run)
    fresh = make_detector("sencebgan-features", {}, "fast").build()

    def norm(values: np.ndarray) -> float:
        return float(np.linalg.norm(values, axis=-1).mean())

    def residuals(nets: dict) -> tuple[float, float, float]:
        d_x = np.asarray(nets["decoder"](nets["embedding"](items)))
        z = np.asarray(nets["encoder"](items))
        y = np.asarray(nets["generator"](z))
        z_y = np.asarray(nets["reconstruction_encoder"](y))
        return norm(d_x - items), norm(y - items), norm(z_y - z) / norm(z)

    trained, untrained = residuals(networks), residuals(fresh)
    assert trained[0] < norm(items)
    assert all(after < before for after, before in zip(trained, untrained, strict=True))


def test_the_export_scores_as_the_networks_do(run: Run, tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.semedge" for name in ("float32", "int8")}
    for name, path in paths.items():
        export_run(run, path, ExportRequest(name))
    manifest = read_bundle(paths["int8"]).manifest
    assert isinstance(manifest.input, FrameInput)
    assert set(manifest.parity) == SCORES
    assert manifest.parity["im1"].rank_correlation > 0.9
    exact = read_bundle(paths["float32"]).manifest.parity
    assert all(parity.rank_correlation > 0.9999 for parity in exact.values())
    frame = Frame(SimulatedLine(seed=9, shape=SHAPE).frame(0).image, 0, 0.0, "frame")
    with Detector.load(paths["int8"], workers=1) as detector:
        scores = detector.score(frame).patch_scores
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > len(scores) / 2
