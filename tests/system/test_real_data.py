"""Calibration and alerts on real SEM images of nanofibres (NanoTWICE).

The demo detector knows simulated fibres only; what is shown here is the way, not a detector.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from commandline import call, succeed
from pictures import check_of_alert

pytestmark = pytest.mark.real_data

GUARANTEE = ("--false-alarm-rate", 0.01, "--confidence", 0.95, "--stride", 32)


@pytest.fixture(scope="module")
def nanotwice(real_data_dir: Path) -> Path:
    return real_data_dir / "nanotwice"


@pytest.fixture(scope="module")
def calibration_file(tmp_path_factory: pytest.TempPathFactory, nanotwice: Path) -> Path:
    """A calibration by fields on the five normal frames."""
    folder = tmp_path_factory.mktemp("nanotwice")
    result = succeed(
        folder,
        *("calibrate", "--images", nanotwice / "normal", *GUARANTEE),
        *("--fields", "128x64", "--out", "fields.json"),
    )
    assert "at most 1 % of normal 128x64 px fields" in result.err
    assert "for one field" in result.err
    return folder / "fields.json"


def test_five_frames_are_too_few(nanotwice: Path, tmp_path: Path) -> None:
    result = call(
        tmp_path, "calibrate", "--images", nanotwice / "normal", *GUARANTEE, "--out", "c.json"
    )
    assert result.status == 3
    assert "299 independent frames for 1 % at 95 % confidence; there are 5," in result.error
    assert list(tmp_path.iterdir()) == []


def test_fields_prove_what_they_can(nanotwice: Path, calibration_file: Path) -> None:
    calibration = json.loads(calibration_file.read_text())
    frames = [cv2.imread(str(path)) for path in sorted((nanotwice / "normal").iterdir())]
    fields = sum((frame.shape[0] // 64) * (frame.shape[1] // 128) for frame in frames)
    assert calibration["frames"] == len(frames) == 5
    assert calibration["groups"] == fields
    assert calibration["proved_rate"] <= 0.01


def test_anomalous_frames_raise_alerts_that_show_where(
    nanotwice: Path, calibration_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    anomalous = sorted((nanotwice / "anomalous" / "images").iterdir())[:3]
    for path in anomalous:
        (folder / path.name).symlink_to(path)
    result = succeed(
        tmp_path,
        *("watch", "--camera", folder, "--calibration", calibration_file, "--stride", 32),
        "--json",
    )
    assert "3 frames seen, 3 inspected, 0 skipped, 0 lost" in result.err
    assert result.starts
    for alert in result.starts:
        image = cv2.imread(alert["source"], cv2.IMREAD_UNCHANGED)
        check_of_alert(alert, image.shape[:2])
        x, y = alert["peak_px"]
        assert 0 <= x < image.shape[1]
        assert 0 <= y < image.shape[0]
