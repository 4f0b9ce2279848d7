"""Detectors that are fitted rather than trained: what they fit, and the way to the edge."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA, sparse_encode
from sklearn.metrics import roc_auc_score

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.inference.bundle import read_bundle
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge.inference.scores import weighted_score
from semedge.inference.scores.statistics import code_indicators, pca_hotelling, pca_residual
from semedge.inference.sparse_coding import parts_of, sparse_codes
from semedge_trainer.detectors import make_detector
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.frames import TrainingFrames
from semedge_trainer.training.progress import StageLog
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import (
    TrainingRequest,
    finish_run,
    fit,
    resume_run,
)

Array = NDArray[np.float32]
StartRun = Callable[..., tuple[Run, TrainingFrames]]

SHAPE = (128, 160)
SOURCE = "sim:5?frames=3&size=160x128"
SETTINGS: dict[str, dict[str, str]] = {
    "pca": {"components": "12"},
    "patch-statistics": {},
    "dictionary": {"atoms": "48", "penalty": "2.0"},
}


def patches_of(seed: int, frames: int = 4) -> Array:
    line = SimulatedLine(seed, shape=SHAPE)
    grid = PatchGrid(SHAPE, 32, 16)
    return scale_patches(
        np.concatenate([grid.cut(line.frame(n).image) for n in range(frames)]), "range"
    )


def fitted_to(name: str, patches: Array, batch: int = 32) -> dict[str, Array]:
    fitting = make_detector(name, SETTINGS[name], "fast").fitting({}, seed=3)
    assert fitting is not None
    for at in range(0, len(patches), batch):
        shown = fitting.take(patches[at : at + batch])
        assert all(np.isfinite(value) for value in shown.values())
    return fitting.arrays()


@cache
def fitted_to_fibres(name: str) -> dict[str, Array]:
    return fitted_to(name, patches_of(1))


def toy_patches(kind: str, count: int, seed: int) -> Array:
    """Normal: a multiple of one pattern, and a little noise. Defect: bright noise."""
    pattern = np.random.default_rng(0).choice([-1.0, 1.0], (32, 32, 1))
    random = np.random.default_rng(seed)
    noise = random.normal(size=(count, 32, 32, 1))
    if kind == "normal":
        values = -0.3 + random.uniform(0.1, 0.2, (count, 1, 1, 1)) * pattern + 0.02 * noise
    else:
        values = 0.2 + 0.4 * noise
    return np.clip(values, -1, 1).astype(np.float32)


@pytest.fixture(scope="module", params=SETTINGS)
def fitted_run(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    start_small_run: StartRun,
) -> Run:
    """A finished run of each fitted detector; tests change nothing in it."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    wanted = TrainingRequest(request.param, SOURCE, SETTINGS[request.param], steps=20, seed=3)
    run, frames = start_small_run(folder, wanted)
    finish_run(run, frames, choose_strategy(["cpu:0"]))
    return Run.open(folder)


def test_principal_components_are_those_of_scikit_learn() -> None:
    patches = patches_of(1)
    arrays = fitted_to_fibres("pca")
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    reference = PCA(12, svd_solver="full").fit(flat)
    cosines = (reference.components_ @ arrays["pca_components"]).diagonal()
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-3)
    shown = patches_of(2, frames=1)
    projected = reference.transform(shown.reshape(len(shown), -1))
    residual = shown.reshape(len(shown), -1) - reference.inverse_transform(projected)
    found = pca_residual(shown, arrays["pca_mean"], arrays["pca_components"])
    np.testing.assert_allclose(found, np.linalg.norm(residual, axis=1), rtol=1e-3)
    deviations = np.sqrt(reference.explained_variance_ * (len(flat) - 1) / len(flat))
    expected = np.linalg.norm(projected / deviations, axis=1)
    np.testing.assert_allclose(pca_hotelling(shown, **arrays), expected, rtol=1e-2)


@pytest.mark.parametrize("nonzeros", [1, 3, 8])
def test_codes_are_those_of_scikit_learn(nonzeros: int) -> None:
    random = np.random.default_rng(4)
    dictionary = random.normal(size=(60, 25))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    signals = random.normal(size=(40, 25))
    codes = sparse_codes(signals.astype("f4"), dictionary.astype("f4"), nonzeros)
    expected = sparse_encode(signals, dictionary, algorithm="omp", n_nonzero_coefs=nonzeros)
    full = np.zeros_like(expected)
    np.put_along_axis(full, codes.atoms, codes.coefficients, axis=1)
    np.testing.assert_allclose(full, expected, atol=1e-4)
    np.testing.assert_allclose(codes.residuals, signals - expected @ dictionary, atol=1e-4)


def test_a_signal_that_is_used_up_has_a_finite_code() -> None:
    dictionary = np.eye(16, dtype=np.float32)[:10]
    signals = np.stack([np.zeros(16), 3 * np.eye(16)[2]]).astype("f4")
    codes = sparse_codes(signals, dictionary)
    np.testing.assert_allclose(codes.residuals, 0, atol=1e-5)
    assert np.abs(codes.coefficients).sum(axis=1) == pytest.approx([0, 3], abs=1e-4)


def test_parts_tile_the_patch() -> None:
    patch = np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32, 1)
    parts = parts_of(patch, 256)
    corners = [(0, 0), (0, 16), (16, 0), (16, 16)]
    for part, (top, left) in zip(parts[0], corners, strict=True):
        assert (part.reshape(16, 16) == patch[0, top : top + 16, left : left + 16, 0]).all()


def test_indicators_of_a_patch_join_those_of_its_parts() -> None:
    patches = patches_of(1, frames=1)[:3]
    arrays = fitted_to_fibres("dictionary")
    mean, atoms = arrays["dictionary_mean"], arrays["dictionary_atoms"]
    for patch, found in zip(patches, code_indicators(patches, mean, atoms), strict=True):
        parts = parts_of(patch[None], 256)[0] - mean
        code = sparse_encode(parts.astype(np.float64), atoms, algorithm="omp", n_nonzero_coefs=8)
        expected = [np.linalg.norm(parts - code @ atoms), np.abs(code).sum()]
        np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_a_dictionary_learns() -> None:
    patches = patches_of(1)
    fresh = patches_of(2, frames=1)
    arrays = fitted_to_fibres("dictionary")
    norms = np.linalg.norm(arrays["dictionary_atoms"], axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-4)
    drawn = parts_of(patches, 256).reshape(-1, 256)[:48] - arrays["dictionary_mean"]
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    learnt, random = (
        code_indicators(fresh, arrays["dictionary_mean"], atoms)[:, 0].mean()
        for atoms in (arrays["dictionary_atoms"], drawn)
    )
    assert learnt < 0.95 * random


@pytest.mark.parametrize(
    ("name", "count", "values"),
    [("dictionary", 8, "48 .*32 were shown"), ("patch-statistics", 8, "16 .* 8 were shown")],
)
def test_too_few_patches_get_a_sentence(name: str, count: int, values: str) -> None:
    fitting = make_detector(name, SETTINGS[name], "fast").fitting({}, seed=3)
    assert fitting is not None
    fitting.take(patches_of(1, frames=1)[:count])
    with pytest.raises(SemedgeError, match=values):
        fitting.arrays()


def test_a_run_holds_its_fit_and_a_log(fitted_run: Run) -> None:
    assert fitted_run.finished
    assert fitted_run.record.steps == {"fit": 20}
    assert fitted_run.record.learning_rates == {}
    rows = list(csv.reader((fitted_run.folder / "logs/fit.csv").read_text().splitlines()))
    assert rows[0][:2] == ["step", "seconds"]
    assert [row[0] for row in rows[1:]] == ["10", "20"]
    plan = fitted_run.detector().score_plan()
    bundle_names = {"dictionary_atoms", "pca_components", "s_factors"}
    assert len(bundle_names & fitted_run.fitted().keys()) == 1
    assert plan.graphs == ()


def test_a_fit_is_a_function_of_record_and_frames(fitted_run: Run) -> None:
    """An interrupted fit starts again, so that its rows are gone and its arrays the same."""
    run, frames = resume_run(fitted_run.folder, None)
    log = run.folder / "logs/fit.csv"
    first = log.read_text().splitlines()
    again = fit(run, {}, frames, lambda run, name, steps: StageLog(run.folder, name, steps, steps))
    assert len(log.read_text().splitlines()) == len(first)
    fitted = run.fitted()
    assert again.keys() == fitted.keys()
    for name, array in again.items():
        np.testing.assert_array_equal(array, fitted[name], err_msg=name)


def test_the_edge_scores_with_the_fitted_arrays(fitted_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fitted.semedge"
    quantization = {"pca": "qat", "patch-statistics": "float16", "dictionary": "int8"}[
        fitted_run.record.detector
    ]
    manifest = export_run(fitted_run, path, ExportRequest(quantization, stride_px=16))
    assert manifest == read_bundle(path).manifest
    assert manifest.quantization == "float32"
    assert all(name.endswith(".npy") for name in manifest.members)
    assert all(parity.rank_correlation > 0.9999 for parity in manifest.parity.values())
    frame = Frame(SimulatedLine(9, shape=SHAPE).frame(0).image, 0, 0.0, "frame 0")
    plan = fitted_run.detector().score_plan()
    for name, weights in plan.scores.items():
        with Detector.load(path, workers=2, score_names=[name]) as detector:
            scores = detector.score(frame)
        x = scale_patches(scores.grid.cut(frame.image), "range")
        expected = weighted_score(weights, {"x": x, **fitted_run.fitted()})
        np.testing.assert_allclose(scores.patch_scores, expected, rtol=1e-3)


def test_one_score_takes_its_own_arrays_along(fitted_run: Run, tmp_path: Path) -> None:
    plan = fitted_run.detector().score_plan()
    path = tmp_path / "one.semedge"
    manifest = export_run(
        fitted_run, path, ExportRequest("int8", score_name=plan.default, only_score=True)
    )
    assert set(manifest.scores) == {plan.default}
    names = {name.removesuffix(".npy") for name in manifest.members}
    assert names <= fitted_run.fitted().keys()
    if fitted_run.record.detector == "patch-statistics":
        assert names == {"s_means", "s_factors", "s_weights"}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_score_separates_a_toy(name: str) -> None:
    arrays = fitted_to(name, toy_patches("normal", 256, 1))
    plan = make_detector(name, SETTINGS[name], "fast").score_plan()
    shown = np.concatenate([toy_patches("normal", 60, 2), toy_patches("defect", 60, 3)])
    for score, weights in plan.scores.items():
        values = weighted_score(weights, {"x": shown, **arrays})
        assert roc_auc_score(np.arange(120) >= 60, values) > 0.95, score
