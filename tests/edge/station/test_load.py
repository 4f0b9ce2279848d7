"""What is planned for a camera is loaded, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings, Levels
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.sections import DetectorSection
from semedge.station.load import load_cameras


def planned(tiny_file: Path, calibration_file: Path, decision: DecisionSettings) -> CameraPlan:
    detector = DetectorSection(file=tiny_file, workers=1)
    return CameraPlan("left", SourceChoice("sim:1"), detector, calibration_file, decision)


def test_a_camera_is_loaded_with_its_levels(tiny_file: Path, calibration_file: Path) -> None:
    decision = DecisionSettings(warn=1.0, of_frames=3)
    (camera,) = load_cameras([planned(tiny_file, calibration_file, decision)])
    with camera.setup.detector:
        threshold = camera.setup.calibration.threshold
        assert camera.setup.levels == Levels(threshold, 1.0)
        assert camera.setup.decision == decision
        assert camera.setup.active_setup.threshold == threshold


def test_levels_that_do_not_fit_the_calibration_are_refused(
    tiny_file: Path, calibration_file: Path
) -> None:
    with pytest.raises(SemedgeError, match=r"Received: 1e\+09"):
        load_cameras([planned(tiny_file, calibration_file, DecisionSettings(warn=1e9))])
