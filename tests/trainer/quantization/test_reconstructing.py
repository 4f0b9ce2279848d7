"""f-AnoGAN, GANomaly and Skip-GANomaly on simulated fibres, from training to every quantization."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.quantization import quantization_aware
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.frames import TrainingFrames
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, finish_run

StartRun = Callable[..., tuple[Run, TrainingFrames]]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["f-anogan", "ganomaly", "skip-ganomaly"])
def test_two_hundred_steps_then_every_quantization(
    name: str, tmp_path: Path, start_small_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization_aware, "FINE_TUNING_STEPS", 5)
    request = TrainingRequest(name, "sim:5?frames=4&size=320x256", {}, steps=200, seed=3)
    run, frames = start_small_run(tmp_path / "run", request)
    finish_run(run, frames, choose_strategy(["cpu:0"]))
    for log in (run.folder / "logs").glob("*.csv"):
        rows = list(csv.reader(log.read_text().splitlines()))[1:]
        assert rows
        assert np.isfinite(np.array(rows, float)).all(), log.name
    for kind, least in (("float32", 0.9999), ("float16", 0.999), ("int8", 0.99), ("qat", 0.99)):
        manifest = export_run(run, tmp_path / "out.semedge", ExportRequest(kind))
        assert manifest.scores.keys() == run.detector().score_plan().scores.keys()
        parity = manifest.parity[manifest.score.name]
        assert parity.rank_correlation > least, kind
