"""`semedge export`: what a bundle says of itself, how it scores, and what cannot be exported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semedge.cameras.simulation import SimulatedLine
from semedge.cli import main
from semedge.core.frame import Frame
from semedge.inference.bundle import frame_sha256, read_bundle
from semedge.inference.detector import Detector
from semedge.inference.manifest import Manifest
from semedge.inference.scaling import scale_patches
from semedge.inference.scores import weighted_score
from semedge_trainer.detectors import DETECTORS
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.export.parity import keras_tensors
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest

StartRun = Callable[..., tuple[Run, object]]
Export = Callable[..., "tuple[int, str, str]"]


@pytest.fixture(scope="module")
def bundle_path(short_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every score of the short run, in float32."""
    path = tmp_path_factory.mktemp("bundles") / "float32.semedge"
    export_run(Run.open(short_run), path, ExportRequest("float32"))
    return path


@pytest.fixture
def export(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Export:
    def call(run: Path, *arguments: str) -> tuple[int, str, str]:
        out = str(tmp_path / "out.semedge")
        monkeypatch.setattr(sys, "argv", ["semedge", "export", str(run), "--out", out, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return call


def test_manifest_says_where_the_weights_come_from(short_run: Path, bundle_path: Path) -> None:
    manifest = read_bundle(bundle_path).manifest
    record = Run.open(short_run).record
    training = manifest.training
    line = SimulatedLine(seed=5)
    assert training.frame_sha256 == tuple(frame_sha256(line.frame(n).image) for n in (0, 1))
    assert training.frames == 2
    assert training.seed == 3
    assert training.steps == {"ebgan": 2, "encoder": 3, "reconstruction": 1}
    assert training.options["xx"] is True
    assert training.schedule == "fast"
    assert training.thesis_section == DETECTORS["sencebgan"].thesis_section
    assert training.learning_rates == record.learning_rates
    assert training.packages == record.packages
    pixels = np.stack([line.frame(n).image for n in (0, 1)]) / 255
    assert training.intensity.mean == pytest.approx(pixels.mean())
    assert training.intensity.percentile_99 == pytest.approx(np.percentile(pixels, 99))
    assert (manifest.detector, manifest.quantization) == ("sencebgan", "float32")
    assert (manifest.input.patch_px, manifest.stride_px) == (32, 32)


def test_bundle_holds_every_score_and_float32_ranks_patches_as_keras_does(
    short_run: Path, bundle_path: Path
) -> None:
    manifest = read_bundle(bundle_path).manifest
    plan = Run.open(short_run).detector().score_plan()
    assert manifest.scores == {name: dict(weights) for name, weights in plan.scores.items()}
    assert manifest.score.name == plan.default
    assert {f"{name}.tflite" for name in plan.graphs} <= set(manifest.members)
    assert manifest.parity.keys() == manifest.scores.keys()
    for name, parity in manifest.parity.items():
        assert parity.patches == 1024
        assert parity.rank_correlation > 0.9999, name
        assert parity.auroc_exported == pytest.approx(parity.auroc_keras, abs=1e-3), name


@pytest.mark.parametrize("score_name", ["im1", "comb_z"])
def test_the_edge_scores_a_frame_as_the_networks_do(
    short_run: Path, bundle_path: Path, score_name: str
) -> None:
    frame = Frame(SimulatedLine(seed=9, defect_rate=1.0).frame(0).image, 0, 0.0, "frame 0")
    with Detector.load(bundle_path, stride_px=24, workers=2, score_names=[score_name]) as detector:
        scores = detector.score(frame)
    trained, networks = Run.open(short_run).load()
    plan = trained.score_plan().chosen(score_name, only=True)
    patches = scale_patches(scores.grid.cut(frame.image), "range")
    expected = weighted_score(plan.scores[score_name], keras_tensors(plan, networks, patches))
    np.testing.assert_allclose(scores.patch_scores, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_exports_one_score_in_int8_and_prints_one_document(
    short_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.semedge"
    options = ["--score", "im1", "--only-score", "--stride", "16", "--json"]
    ended = subprocess.run(
        [sys.executable, "-m", "semedge", "export", str(short_run), "--out", str(out), *options],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "int8" in ended.stderr
    assert "Next: semedge calibrate" in ended.stderr
    manifest = read_bundle(out).manifest
    assert Manifest.model_validate(json.loads(ended.stdout)) == manifest
    graphs = {name for name in manifest.members if name.endswith(".tflite")}
    assert graphs == {"encoder.tflite", "generator.tflite"}
    assert set(manifest.scores) == set(manifest.parity) == {manifest.score.name} == {"im1"}
    assert manifest.quantization == "int8"
    assert manifest.stride_px == 16
    assert manifest.parity["im1"].rank_correlation > 0.9
    frame = Frame(SimulatedLine(seed=9).frame(0).image, 0, 0.0, "frame 0")
    with Detector.load(out, workers=1) as detector:
        scores = detector.score(frame)
    assert scores.grid.stride_px == 16
    assert np.isfinite(scores.patch_scores).all()


@pytest.mark.parametrize(
    ("damage", "options", "sentence"),
    [
        ("unfinished", [], "is not finished; continue it with `semedge train --resume --out"),
        ("no run", [], "is not a run folder (run.json: No such file or directory); give"),
        ("a file", [], "is not a run folder (run.json: Not a directory); give"),
        ("not JSON", [], "run.json cannot be used"),
        ("no seed", [], "run.json cannot be used (seed: Field required); train again"),
        ("whole", ["--score", "im3"], "sencebgan has no score 'im3'; it has im1, "),
        ("anogan", [], "AnoGAN searches the latent of every patch"),
    ],
)
def test_what_cannot_be_exported_gets_a_sentence(
    short_run: Path,
    tmp_path: Path,
    start_small_run: StartRun,
    export: Export,
    damage: str,
    options: list[str],
    sentence: str,
) -> None:
    folder = short_run if damage == "whole" else tmp_path / "run"
    record = json.loads((short_run / "run.json").read_text())
    match damage:
        case "unfinished":
            start_small_run(folder, TrainingRequest("sencebgan", "sim:5?frames=1", {}))
        case "anogan":
            run, _ = start_small_run(folder, TrainingRequest("anogan", "sim:5?frames=1", {}))
            run.write_weights(run.detector().build())
        case "a file":
            folder.write_text("")
        case "not JSON":
            folder.mkdir()
            (folder / "run.json").write_text("{")
        case "no seed":
            folder.mkdir()
            del record["seed"]
            (folder / "run.json").write_text(json.dumps(record))
    status, stdout, stderr = export(folder, *options)
    assert status == 1
    assert stdout == ""
    assert stderr.startswith("Error: ")
    assert sentence in stderr
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "out.semedge").exists()
