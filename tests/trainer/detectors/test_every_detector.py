"""Every detector of the registry: trains on simulated fibres, exports to int8, and scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.inference.detector import Detector
from semedge_trainer.detectors import DETECTORS
from semedge_trainer.detectors.base import SearchedDetector
from semedge_trainer.detectors.whole_frame import FrameDetector
from semedge_trainer.export.export import export_run
from semedge_trainer.export.exporter import ExportRequest
from semedge_trainer.training.devices import choose_strategy
from semedge_trainer.training.run import Run
from semedge_trainer.training.train import TrainingRequest, finish_run

StartRun = Callable[..., tuple[Run, object]]

STEPS = 200
BATCH = 4
LEAST_CORRELATION = 0.99
LEAST_CORRELATION_REFITTED = 0.95
"""Of whole-frame detectors, which the export fits anew to the int8 graph's features."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_trains_without_nan_and_scores_in_int8_as_it_does_in_keras(
    name: str, tmp_path: Path, start_small_run: StartRun
) -> None:
    request = TrainingRequest(name, "sim:5?frames=2", {}, steps=STEPS, seed=3)
    run, frames = start_small_run(tmp_path / "run", request, batch=BATCH)
    finish_run(run, frames, choose_strategy(["cpu:0"]))
    assert sum(run.record.steps.values()) == STEPS
    detector, networks = run.load()
    for network in networks.values():
        assert all(np.isfinite(np.asarray(variable)).all() for variable in network.weights)
    if isinstance(detector, SearchedDetector):
        return
    bundle = tmp_path / "out.semedge"
    manifest = export_run(run, bundle, ExportRequest("int8", only_score=True))
    refitted = isinstance(detector, FrameDetector)
    least = LEAST_CORRELATION_REFITTED if refitted else LEAST_CORRELATION
    assert manifest.parity[manifest.score.name].rank_correlation > least
    frame = Frame(SimulatedLine(seed=9).frame(0).image, 0, 0.0, "frame 0")
    with Detector.load(bundle, workers=1) as loaded:
        scores = loaded.score(frame).patch_scores
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > len(scores) / 2
