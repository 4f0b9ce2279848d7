"""A calibration in one call: from a folder, a camera, frames or arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from constant_detector import image_of, write_detector

from semedge.cameras import open_camera
from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.frame import Frame
from semedge.inference.detector import Detector
from semedge.station.calibration import calibrate

COUNT = 40
LOOSE: dict[str, Any] = {"false_alarm_rate": 0.1}


@pytest.fixture
def detector(tmp_path: Path) -> Iterator[Detector]:
    with Detector.load(write_detector(tmp_path / "d.semedge", []), workers=1) as loaded:
        yield loaded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "good"
    folder.mkdir()
    for seed in range(COUNT):
        cv2.imwrite(str(folder / f"{seed // 2:02}_{seed % 2}.png"), image_of(seed))
    return folder


def test_every_source_of_the_same_frames_gives_the_same_threshold(
    detector: Detector, folder: Path
) -> None:
    calibration = calibrate(detector, folder, **LOOSE)
    assert (calibration.frames, calibration.false_alarm_rate) == (COUNT, 0.1)
    images = [image_of(seed) for seed in range(COUNT)]
    with open_camera(folder) as camera:
        sources: list[Any] = [
            str(folder),
            f"{folder}/*.png",
            camera,
            images,
            np.stack(images),
            (Frame(image) for image in images),
        ]
        for source in sources:
            assert calibrate(detector, source, **LOOSE).threshold == calibration.threshold


def test_files_that_cannot_be_decoded_are_in_the_warnings(detector: Detector, folder: Path) -> None:
    (folder / "note.png").write_text("no image")
    (warning,) = calibrate(detector, folder, **LOOSE).warnings
    assert "1 unreadable file" in warning
    assert "note.png" in warning


def test_frames_are_grouped_by_their_names(detector: Detector, folder: Path) -> None:
    settings: dict[str, Any] = {"false_alarm_rate": 0.2, "group_by": r"^(\d+)_"}
    assert calibrate(detector, folder, **settings).groups == COUNT / 2
    settings["group_by"] = re.compile(settings["group_by"])
    assert calibrate(detector, folder, **settings).groups == COUNT / 2


def test_no_more_frames_are_read_than_requested(detector: Detector) -> None:
    endless = (image_of(seed) for seed in iter(int, None))
    with pytest.raises(RefusedError, match=r"\b299\b.*there is 1, which proves"):
        calibrate(detector, endless, max_frames=45)
    source = "sim:1?size=64x64"
    assert calibrate(detector, source, max_frames=45, **LOOSE).frames == 45


def test_frames_that_prove_too_little_are_refused_with_status_3(detector: Detector) -> None:
    with pytest.raises(RefusedError, match=r"\b299\b.*there are 5, which prove") as refusal:
        calibrate(detector, [image_of(seed) for seed in range(5)])
    assert refusal.value.exit_status == 3


@pytest.mark.parametrize(
    ("source", "settings", "values"),
    [
        ("sim:1", {}, "sim:1 .*max_frames"),
        ("sim:1?frames=9", {"group_every_s": 2.0}, r"group_every_s. Received: 2$"),
        ("sim:1?frames=9", {"group_by": "("}, r"group_by .* Received: '\('"),
        (
            "sim:1?frames=9",
            {"group_by": "a", "group_every_s": 1},
            r"group_by or group_every_s.* Received: 'a', 1",
        ),
        ("sim:1?frames=9", {"false_alarm_rate": 2.0}, "Received: 2"),
        ([np.zeros((9, 9))], {}, r"dtype float64, shape \(9, 9\)"),
        ([], {}, "folder or a camera"),
    ],
)
def test_wrong_requests_are_refused(
    detector: Detector, source: Any, settings: dict[str, Any], values: str
) -> None:
    with pytest.raises(SemedgeError, match=values):
        calibrate(detector, source, **settings)
