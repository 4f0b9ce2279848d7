"""Each detector for the edge, through the command line: train, export, calibrate, watch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandcall import Call, Result

from semedge.inference.bundle import read_bundle
from semedge_trainer.commands.detector_names import BEST
from semedge_trainer.detectors import DETECTORS
from semedge_trainer.detectors.base import SearchedDetector
from semedge_trainer.training import train as training

STEPS = 3
CALIBRATION_FRAMES = 29
"""Enough to prove a false-alarm rate of 10 % at 95 % confidence."""
WATCHED_FRAMES = 12

QUICK = ("patch-statistics", "pca", "texture-gaussian")
EXPORTABLE = [name for name, each in DETECTORS.items() if not issubclass(each, SearchedDetector)]


def succeed(call: Call, *arguments: object) -> Result:
    result = call(*arguments)
    assert result.status == 0, result.err
    return result


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in EXPORTABLE],
)
def test_a_detector_goes_from_training_to_watch(
    name: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAMPLE_PATCHES", 1024)
    frames = "size=128x128&frames="
    named = () if name == BEST else ("--detector", name)
    succeed(
        call,
        *("train", *named, "--images", f"sim:5?{frames}2", "--steps", STEPS, "--out", "run"),
    )
    succeed(call, "export", "run", "--quantization", "int8", "--only-score", "--out", "d.semedge")
    bundle = read_bundle(tmp_path / "d.semedge")
    manifest = bundle.manifest
    assert manifest.detector == name
    assert manifest.quantization == ("int8" if manifest.nodes else "float32")
    succeed(
        call,
        *(
            "calibrate",
            "--detector",
            "d.semedge",
            "--images",
            f"sim:6?{frames}{CALIBRATION_FRAMES}",
        ),
        *("--false-alarm-rate", 0.1, "--out", "c.json"),
    )
    calibration = json.loads((tmp_path / "c.json").read_text())
    assert calibration["detector_sha256"] == bundle.sha256
    watched = succeed(
        call,
        *("watch", "--camera", f"sim:7?{frames}{WATCHED_FRAMES}&defects=0.5", "--json"),
        *("--detector", "d.semedge", "--calibration", "c.json"),
    )
    assert f"{WATCHED_FRAMES} frames seen, {WATCHED_FRAMES} inspected" in watched.err
    for event in map(json.loads, watched.out.splitlines()):
        if event["phase"] == "start":
            assert event["frame_score"] > event["threshold"] == calibration["threshold"]
