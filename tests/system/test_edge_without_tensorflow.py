"""The edge works where the trainer's packages are absent, and leaves them alone where present."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import cv2
import pytest
from commandline import EDGE_ONLY, call, every_frame_by_itself, succeed, succeed_probed
from edge_only import HIDDEN

from semedge.cameras.simulation import SimulatedLine

IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import edge_only
edge_only.hide()
found = []
for package in map(importlib.import_module, ("semedge", "semedge_calibration")):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
            found.append(module.name)
absent = []
for name in edge_only.HIDDEN:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        absent.append(name)
print(json.dumps([found, absent]))
"""


def test_every_module_of_the_edge_can_be_imported(tmp_path: Path) -> None:
    output = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(Path(__file__).parent)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    found, absent = json.loads(output)
    assert {
        "semedge.station.watch",
        "semedge.commands.demo",
        "semedge_calibration.order_statistics",
    } <= set(found)
    assert absent == list(HIDDEN), "the packages could not be imported"


def test_the_commands_of_the_edge_work(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    line = SimulatedLine(3002, shape=(64, 96), defect_rate=1.0)
    for number in range(10):
        cv2.imwrite(str(frames / f"{number}.png"), line.frame(number).image)
    bundle = str(files("semedge").joinpath("data/demo.semedge"))
    (inspected,) = succeed(tmp_path, "inspect", bundle, "--json", program=EDGE_ONLY).events
    assert inspected["manifest"]["detector"] == "sencebgan"
    calibrated = succeed(
        tmp_path,
        *("calibrate", "--images", "sim:3001?size=96x64&frames=29", "--out", "c.json"),
        *("--false-alarm-rate", 0.1, "--json"),
        program=EDGE_ONLY,
    )
    (calibration,) = calibrated.events
    assert calibration["groups"] == 29
    (scored,) = succeed(
        tmp_path, "score", frames, "--calibration", "c.json", "--json", program=EDGE_ONLY
    ).events
    alerts = succeed(
        tmp_path,
        *("watch", "--camera", frames, "--calibration", "c.json", "--json"),
        *every_frame_by_itself(tmp_path),
        program=EDGE_ONLY,
    ).starts
    above = {
        each["path"]: each["frame_score"] for each in scored["files"] if each["above_threshold"]
    }
    assert above, "ten defects, and none was seen"
    assert {alert["source"]: alert["frame_score"] for alert in alerts} == above


@pytest.mark.parametrize(
    "needed_by",
    [
        ("TensorFlow", "train", "--images", "sim:1?frames=2", "--out", "run"),
        ("TensorFlow", "export", "run", "--out", "d.semedge"),
        ("TensorFlow", "detectors"),
        ("scikit-learn", "evaluate", "--images", "frames", "--masks", "masks"),
    ],
    ids=["train", "export", "detectors", "evaluate"],
)
def test_a_command_of_the_trainer_names_the_extra(
    tmp_path: Path, needed_by: tuple[str, ...]
) -> None:
    package, *arguments = needed_by
    result = call(tmp_path, *arguments, program=EDGE_ONLY)
    assert result.status == 1
    assert result.error == (
        f"Error: This command needs {package}, which is not installed here; install it with "
        "pip install 'semedge[train]'."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None,
    reason="TensorFlow is not installed; pip install -e '.[train]'",
)
def test_watch_leaves_tensorflow_alone_where_it_is_installed(
    tmp_path: Path, demo_calibration: Path
) -> None:
    packages = succeed_probed(
        tmp_path,
        *("watch", "--camera", "sim:3002?size=128x128&defects=1&frames=5", "--stride", 32),
        *("--calibration", demo_calibration),
    ).packages
    assert {"numpy", "cv2"} <= packages
    assert not packages & {*HIDDEN, "semedge_trainer"}
