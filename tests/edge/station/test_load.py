"""A station's cameras come from its file or from the command line, and are loaded together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings, Levels
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.sections import DecisionSection
from semedge.station.config.station import Station
from semedge.station.load import Defaults, LineChoice, choose_lines, load_lines

NOTHING = Defaults(None, 10.0, False, None, None, None, None)
ONE = replace(NOTHING, camera="sim:1", calibration=Path("c.json"))
SEVERAL = {
    "station": {"name": "line 4"},
    "detector": {"stride_px": 16},
    "decision": {"warn": 3.0},
    "cameras": {
        "left": {"source": "sim:1", "timeout_s": 3},
        "right": {
            "source": "sim:2",
            "loop": True,
            "detector": {"file": "right.semedge", "workers": 1},
            "calibration": {"file": "right.json"},
            "decision": {"frames_above": 2, "of_frames": 3},
        },
    },
}


def test_the_only_camera_is_the_command_lines() -> None:
    (choice,) = choose_lines(Station.model_validate({"decision": {"alarm": 9}}), ONE)
    assert choice == LineChoice(
        "camera", SourceChoice("sim:1"), None, Path("c.json"), DecisionSection(alarm=9)
    )


def test_several_cameras_take_what_they_do_not_say_from_the_others_tables() -> None:
    station = Station.model_validate(SEVERAL)
    left, right = choose_lines(
        station, replace(NOTHING, stride_px=16, calibration=Path("c.json"), detector=Path("d"))
    )
    assert left == LineChoice(
        "left",
        SourceChoice("sim:1", timeout_s=3.0),
        Path("d"),
        Path("c.json"),
        DecisionSection(warn=3.0),
        stride_px=16,
    )
    assert right == LineChoice(
        "right",
        SourceChoice("sim:2", loop=True),
        Path("right.semedge"),
        Path("right.json"),
        DecisionSection(frames_above=2, of_frames=3),
        workers=1,
    )


@pytest.mark.parametrize(
    ("station", "defaults", "said"),
    [
        ({}, NOTHING, "No camera was given"),
        ({}, replace(ONE, calibration=None), "No calibration was given"),
        (SEVERAL, ONE, "names the cameras left, right, and the camera sim:1 was given beside them"),
        (SEVERAL, NOTHING, "No calibration was given"),
        ({"cameras": {"left": {}}}, ONE, "and the camera sim:1 was given"),
        ({"cameras": {"left": {}}}, NOTHING, "cameras.left has no source"),
    ],
)
def test_what_is_missing_is_said(station: dict, defaults: Defaults, said: str) -> None:
    with pytest.raises(SemedgeError, match=said):
        choose_lines(Station.model_validate(station), defaults)


def choice(tiny_file: Path, calibration_file: Path, **decision: float) -> LineChoice:
    return LineChoice(
        "left",
        SourceChoice("sim:1"),
        tiny_file,
        calibration_file,
        DecisionSection(**decision),
        workers=1,
    )


def test_a_line_is_loaded_with_its_levels(tiny_file: Path, calibration_file: Path) -> None:
    (line,) = load_lines([choice(tiny_file, calibration_file, warn=1.0, of_frames=3)])
    with line.setup.detector:
        threshold = line.setup.calibration.threshold
        assert line.setup.levels == Levels(threshold, 1.0)
        assert line.setup.decision == DecisionSettings(of_frames=3)
        assert line.setup.active_setup.threshold == threshold


def test_levels_that_do_not_fit_the_calibration_are_refused(
    tiny_file: Path, calibration_file: Path
) -> None:
    with pytest.raises(SemedgeError, match=r"Received: 1e\+09"):
        load_lines([choice(tiny_file, calibration_file, warn=1e9)])
