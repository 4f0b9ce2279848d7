"""A station's cameras are planned from its file, each by what its own tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from semedge.cameras import CameraSettings
from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings
from semedge.decision.health import HealthSettings
from semedge.station.camera_plan import CameraPlan, plan_cameras
from semedge.station.camera_setup import SourceChoice
from semedge.station.config.sections import DetectorSection
from semedge.station.config.station import Station

ONE = {"camera": {"source": "sim:1"}, "calibration": {"file": "c.json"}}
NAMED = {
    "left": {"source": "sim:1", "timeout_s": 3},
    "right": {
        "source": "sim:2",
        "loop": True,
        "detector": {"file": "right.semedge", "workers": 1},
        "calibration": {"file": "right.json"},
        "decision": {"frames_above": 2, "of_frames": 3},
    },
}
SEVERAL = {"station": {"name": "line 4"}, "decision": {"warn": 3.0}, "cameras": NAMED}


def plans(document: dict[str, Any]) -> list[CameraPlan]:
    return plan_cameras(Station.model_validate(document))


def test_the_only_camera() -> None:
    (plan,) = plans({**ONE, "decision": {"alarm": 9}, "health": {"dark_share": 0.5}})
    assert plan == CameraPlan(
        "camera",
        SourceChoice("sim:1"),
        DetectorSection(),
        Path("c.json"),
        DecisionSettings(alarm=9),
        HealthSettings(dark_share=0.5),
    )


def test_several_cameras_inherit_from_the_tables_of_the_station() -> None:
    station = {
        "camera": {"timeout_s": 7},
        "calibration": {"file": "c.json"},
        "detector": {"file": "d", "stride_px": 16},
    }
    left, right = plans({**SEVERAL, **station})
    assert left == CameraPlan(
        "left",
        SourceChoice("sim:1", timeout_s=3.0),
        DetectorSection(file=Path("d"), stride_px=16),
        Path("c.json"),
        DecisionSettings(warn=3.0),
    )
    assert right == CameraPlan(
        "right",
        SourceChoice("sim:2", timeout_s=7.0, loop=True),
        DetectorSection(file=Path("right.semedge"), workers=1),
        Path("right.json"),
        DecisionSettings(frames_above=2, of_frames=3),
    )


def test_each_of_several_cameras_has_settings_of_its_own() -> None:
    table = {
        "source": "genicam:a.cti#1",
        "exposure_us": 5000,
        "region_px": [0, 8, 640, 480],
        "trigger": "Line1",
        "crop_bottom_px": 40,
        "features": {"BlackLevel": 4, "ReverseX": True, "Mode": "Fast"},
    }
    cameras = {"left": table, "right": {"source": "sim:1"}}
    left, right = plans({"cameras": cameras, "camera": {"gain": 3}, "calibration": {"file": "c"}})
    assert left.camera.settings == CameraSettings(
        exposure_us=5000.0,
        region_px=(0, 8, 640, 480),
        trigger="Line1",
        crop_bottom_px=40,
        features=(("BlackLevel", "4"), ("ReverseX", "1"), ("Mode", "Fast")),
    )
    assert right.camera.settings == CameraSettings()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, "all.recipe"),
        ({"recipe": "left.recipe"}, "left.recipe"),
        ({"detector": {"workers": 1}}, "all.recipe"),
        ({"calibration": {"file": "left.json"}}, None),
    ],
)
def test_the_stations_recipe_is_for_cameras_without_files_of_their_own(
    own: dict[str, Any], expected: str | None
) -> None:
    cameras = {"left": {"source": "sim:1", **own}}
    (plan,) = plans({"cameras": cameras, "recipe": {"file": "all.recipe"}})
    assert plan.recipe == (None if expected is None else Path(expected))
    assert plan.calibration == (Path("left.json") if expected is None else None)


@pytest.mark.parametrize(
    ("station", "values"),
    [
        ({}, "--camera SOURCE"),
        ({"camera": {"source": "sim:1"}}, "`semedge calibrate --images.* --calibration"),
        (
            {**ONE, **SEVERAL},
            r"left, right, .*\bsim:1\b",
        ),
        (SEVERAL, "`semedge calibrate .* --calibration"),
        ({**ONE, "cameras": {"left": {}}}, r"\bleft\b.*\bsim:1\b"),
        ({"cameras": {"left": {}}}, r"cameras\.left .*source"),
        ({**ONE, "recipe": {"file": "r"}}, r"recipe r .*\bc\.json\b"),
        (
            {"cameras": {"left": {**NAMED["right"], "recipe": "r"}}},
            r"recipe r .*\bright\.semedge\b",
        ),
    ],
)
def test_what_is_missing_or_given_twice_is_named(station: dict[str, Any], values: str) -> None:
    with pytest.raises(SemedgeError, match=values):
        plans(station)
