"""Self-similarity of pretrained features: its dictionary, and the way to the edge in int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge.inference.scores import weighted_score
from semedge_trainer.detectors import make_detector
from semedge_trainer.detectors.base import Networks
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.frames import TrainingFrames
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, finish_run

Array = NDArray[np.float32]
StartRun = Callable[..., tuple[Run, TrainingFrames]]

SHAPE = (128, 160)
SETTINGS = {"words": "20", "components": "12"}


@pytest.fixture(scope="module")
def fitted_run(tmp_path_factory: pytest.TempPathFactory, start_small_run: StartRun) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "self-similarity"
    request = TrainingRequest(
        "self-similarity", "sim:5?frames=3&size=160x128", SETTINGS, steps=40, seed=3
    )
    run, frames = start_small_run(folder, request)
    finish_run(run, frames, choose_strategy(["cpu:0"]))
    return Run.open(folder)


def patches_of(seed: int) -> Array:
    return scale_patches(
        PatchGrid(SHAPE, 32, 16).cut(SimulatedLine(seed, shape=SHAPE).frame(0).image), "range"
    )


def scores_of(networks: Networks, run: Run, patches: Array) -> Array:
    features = np.asarray(networks["features"](patches, training=False))
    return weighted_score({"self_similarity": 1.0}, {"f_x": features, **run.fitted()})


def test_the_words_are_the_means_of_the_patches_that_are_nearest_to_them(fitted_run: Run) -> None:
    detector, networks = fitted_run.load()
    shown = np.concatenate([patches_of(seed) for seed in range(4)])
    fitting = detector.fitting(networks, seed=1)
    assert fitting is not None
    fitting.take(shown)
    arrays = fitting.arrays()
    features = np.asarray(networks["features"](shown, training=False))
    np.testing.assert_allclose(arrays["words_mean"], features.mean(axis=0), atol=1e-4)
    projection = arrays["words_projection"]
    assert projection.shape == (40, 12)
    np.testing.assert_allclose(projection.T @ projection, np.eye(12), atol=1e-4)
    projected = (features - arrays["words_mean"]) @ projection
    distances = np.linalg.norm(projected[:, None] - arrays["words"], axis=2)
    nearest = distances.argmin(axis=1)
    assert len(np.unique(nearest)) == 20
    for word in range(20):
        mean = projected[nearest == word].mean(axis=0)
        np.testing.assert_allclose(mean, arrays["words"][word], atol=0.05)


def test_another_texture_is_far_from_every_word_of_normal_patches(fitted_run: Run) -> None:
    _, networks = fitted_run.load()
    normal = patches_of(8)
    noise = np.random.default_rng(1).uniform(-1, 1, normal.shape).astype(np.float32)
    scores = scores_of(networks, fitted_run, np.concatenate([normal, noise]))
    assert roc_auc_score(np.arange(len(scores)) >= len(normal), scores) > 0.95


def test_int8_scores_as_the_trained_network_does(fitted_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "similarity.semedge"
    manifest = export_run(fitted_run, path, ExportRequest("int8", stride_px=16))
    assert manifest.quantization == "int8"
    assert manifest.parity["self_similarity"].rank_correlation > 0.99
    frame = Frame(SimulatedLine(9, shape=SHAPE).frame(0).image, 0, 0.0, "frame 0")
    _, networks = fitted_run.load()
    with Detector.load(path, workers=2) as detector:
        scores = detector.score(frame)
    expected = scores_of(networks, fitted_run, patches_of(9))
    assert np.corrcoef(scores.patch_scores, expected)[0, 1] > 0.99


def test_fewer_patches_than_words_get_a_sentence() -> None:
    detector = make_detector("self-similarity", SETTINGS, "fast")
    fitting = detector.fitting(detector.build(), seed=3)
    assert fitting is not None
    fitting.take(patches_of(1)[:8])
    with pytest.raises(SemedgeError, match=r"20 .* 8 were shown"):
        fitting.arrays()


def test_quantization_aware_training_is_refused(fitted_run: Run, tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"self-similarity.* qat"):
        export_run(fitted_run, tmp_path / "qat.semedge", ExportRequest("qat"))
