"""docs/how-to/new-detector.md: its example is installed as a package and scores as shown."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from commandcall import Call
from pages import blocks, install

from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError
from semedge.inference.bundle import read_bundle
from semedge_trainer.detectors import detector_class, known_names
from semedge_trainer.training import train as training

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = "how-to/new-detector.md"
SHAPE = (96, 128)
CALIBRATION_FRAMES = 29
"""Enough to prove a false-alarm rate of 10 % at 95 % confidence."""
STEPS = 3


def write_frames(folder: Path, seed: int, count: int, defect_rate: float = 0.0) -> None:
    folder.mkdir()
    line = SimulatedLine(seed=seed, shape=SHAPE, defect_rate=defect_rate)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), line.frame(number).image)


def test_the_example_goes_from_normal_frames_to_a_score(
    site: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAMPLE_PATCHES", 1024)
    (toml,), (source,), (commands,) = (blocks(PAGE, kind) for kind in ("toml", "python", "sh"))
    project = tomllib.loads(toml)
    (module,) = project["tool"]["setuptools"]["py-modules"]
    install(site, project["project"], {module: source})
    write_frames(tmp_path / "good", seed=1, count=2)
    write_frames(tmp_path / "more-good", seed=2, count=CALIBRATION_FRAMES)
    write_frames(tmp_path / "line", seed=3, count=2)
    said = {}
    for line in commands.splitlines():
        program, command, *arguments = shlex.split(line)
        assert program == "semedge"
        shortened = ("--steps", STEPS) if command == "train" else ()
        result = call(command, *arguments, *shortened)
        assert result.status == 0, result.err
        said[command] = result.out
    assert "thumbnail" in said["detectors"]
    manifest = read_bundle(tmp_path / "thumbnail.semedge").manifest
    assert manifest.quantization == "int8"
    assert manifest.training.packages["thumbnail-detector"] == "1.0"
    assert manifest.training.options == {"thumbnail_channels": 1, "noise": 0.1}
    assert manifest.training.steps == {"painting": STEPS}
    assert manifest.parity["residual"].rank_correlation > 0.99
    assert json.loads((tmp_path / "line.json").read_text())["groups"] == CALIBRATION_FRAMES
    scores = list(csv.DictReader((tmp_path / "scores.csv").read_text("utf-8-sig").splitlines()))
    assert len(scores) == 2
    assert all(np.isfinite(float(row["frame_score"])) for row in scores)


BROUGHT = "from semedge_trainer.detectors.pca import Pca\nclass Own(Pca):\n    name = 'own'\n"
UNTAUGHT = (
    "from semedge_trainer.detectors.base import TrainableDetector\n"
    "class Untaught(TrainableDetector):\n    name = 'own'\n"
)
"""A detector that nothing would train."""


@pytest.mark.parametrize(
    ("entry", "source", "values"),
    [
        ({"pca": "brought:Own"}, BROUGHT, "other.* pca.* semedge"),
        ({"own": "brought:Own"}, "import nothing_such", "own.*other.*ModuleNotFoundError"),
        ({"own": "brought:Missing"}, BROUGHT, "own.*other.*AttributeError"),
        ({"own": "brought:Pca"}, BROUGHT, "pca.*other.*own"),
        ({"own": "brought:Other"}, "class Other: name = 'own'", "brought:Other.*TrainableDetector"),
        ({"own": "brought:Untaught"}, UNTAUGHT, "own.*other.*TrainedDetector"),
    ],
)
def test_a_package_that_brings_no_detector_is_named(
    site: Path, entry: dict[str, str], source: str, values: str
) -> None:
    project = {"name": "other", "version": "1", "entry-points": {"semedge.detectors": entry}}
    install(site, project, {"brought": source})
    with pytest.raises(SemedgeError, match=values):
        detector_class("own")


def test_a_detector_that_is_brought_is_known_and_imported_only_when_asked_for(site: Path) -> None:
    entry = {"semedge.detectors": {"own": "brought:Own"}}
    install(site, {"name": "other", "version": "1", "entry-points": entry}, {"brought": BROUGHT})
    assert known_names()[-1] == "own"
    assert "brought" not in sys.modules
    assert detector_class("own").name == "own"
    with pytest.raises(SemedgeError, match=r"did you mean own\?"):
        detector_class("owm")
