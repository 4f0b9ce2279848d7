"""A flag wins over a variable, a variable over the station file, and the file over the default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from semedge.commands.setting_options import GivenSettings, pass_given, setting_option
from semedge.commands.station_options import environment_settings, station_options
from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings
from semedge.station.config.sections import CameraSection
from semedge.station.config.station import Station

FILE_ONLY = {
    *("station", "cameras", "challenge", "decision", "drift", "health", "marks", "retention"),
    *("sinks", "web"),
}
"""Tables whose settings are too many for a command line."""

VARIABLES = {
    "camera": {
        "source": ("SEMEDGE_CAMERA", "sim:1", "sim:1"),
        "timeout_s": ("SEMEDGE_TIMEOUT_S", "1", 1.0),
        "loop": ("SEMEDGE_LOOP", "1", True),
        "exposure_us": ("SEMEDGE_EXPOSURE_US", "100", 100.0),
        "gain": ("SEMEDGE_GAIN", "-1", -1.0),
        "frame_rate_hz": ("SEMEDGE_FRAME_RATE_HZ", "5", 5.0),
        "region_px": ("SEMEDGE_REGION_PX", "0,8,64,48", (0, 8, 64, 48)),
        "pixel_format": ("SEMEDGE_PIXEL_FORMAT", "Mono12", "Mono12"),
        "trigger": ("SEMEDGE_TRIGGER", "Line1", "Line1"),
        "crop_bottom_px": ("SEMEDGE_CROP_BOTTOM_PX", "40", 40),
        "crop_top_px": ("SEMEDGE_CROP_TOP_PX", "3", 3),
        "crop_left_px": ("SEMEDGE_CROP_LEFT_PX", "4", 4),
        "crop_right_px": ("SEMEDGE_CROP_RIGHT_PX", "5", 5),
        "bits": ("SEMEDGE_BITS", "12", 12),
        "pixel_size_um": ("SEMEDGE_PIXEL_SIZE_UM", "0.5", 0.5),
        "leave_out_px": (
            "SEMEDGE_LEAVE_OUT_PX",
            "0,0,90,20 5,6,7,8",
            ((0, 0, 90, 20), (5, 6, 7, 8)),
        ),
        "leave_out_mask": ("SEMEDGE_LEAVE_OUT_MASK", "m.png", Path("m.png")),
        "recursive": ("SEMEDGE_RECURSIVE", "1", True),
        "follow": ("SEMEDGE_FOLLOW", "1", True),
        "move_to": ("SEMEDGE_MOVE_TO", "done", Path("done")),
        "features": ("SEMEDGE_FEATURES", "A=1 B=x", (("A", "1"), ("B", "x"))),
    },
    "recipe": {"file": ("SEMEDGE_RECIPE", "r", Path("r"))},
    "detector": {
        "file": ("SEMEDGE_DETECTOR", "d", Path("d")),
        "stride_px": ("SEMEDGE_STRIDE", "8", 8),
        "workers": ("SEMEDGE_WORKERS", "2", 2),
    },
    "calibration": {"file": ("SEMEDGE_CALIBRATION", "c", Path("c"))},
    "journal": {
        "file": ("SEMEDGE_JOURNAL", "j", Path("j")),
        "pictures": ("SEMEDGE_PICTURES", "p", Path("p")),
    },
    "watch": {
        "max_frames": ("SEMEDGE_MAX_FRAMES", "9", 9),
        "stop_after_stalled_s": ("SEMEDGE_STOP_AFTER_STALLED_S", "3", 3.0),
        "require_check": ("SEMEDGE_REQUIRE_CHECK", "true", True),
    },
}


def test_every_setting_that_is_not_the_files_alone_has_a_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = {name: type(table).model_fields for name, table in Station() if name not in FILE_ONLY}
    assert {name: set(keys) for name, keys in VARIABLES.items()} == {
        name: set(keys) for name, keys in tables.items()
    }
    for keys in VARIABLES.values():
        for variable, text, _ in keys.values():
            monkeypatch.setenv(variable, text)
    station = environment_settings().over(Station())
    for name, keys in VARIABLES.items():
        assert dict(getattr(station, name)) == {key: value for key, (*_, value) in keys.items()}


def taken(station: Station, *arguments: str, **variables: str) -> Station:
    """The station file with a command line and variables over it."""
    result: list[Station] = []

    @click.command()
    @station_options
    @pass_given
    def command(given: GivenSettings) -> None:
        result.append(given.over(station))

    run = CliRunner().invoke(command, arguments, env=variables, catch_exceptions=False)
    if run.exit_code:
        raise ValueError(run.output)
    return result[-1]


FILE = {"camera": {"timeout_s": 3, "loop": True}, "watch": {"max_frames": 5}}


@pytest.mark.parametrize(
    ("document", "arguments", "variables", "timeout_s"),
    [
        ({}, (), {}, 10.0),
        (FILE, (), {}, 3.0),
        (FILE, (), {"SEMEDGE_TIMEOUT_S": "4"}, 4.0),
        (FILE, (), {"SEMEDGE_TIMEOUT_S": ""}, 3.0),
        (FILE, ("--timeout-s", "5"), {"SEMEDGE_TIMEOUT_S": "4"}, 5.0),
        (FILE, ("--timeout-s", "10"), {}, 10.0),
    ],
)
def test_what_wins(
    document: dict[str, Any],
    arguments: tuple[str, ...],
    variables: dict[str, str],
    timeout_s: float,
) -> None:
    station = Station.model_validate(document)
    read = taken(station, *arguments, **variables)
    assert read.camera.timeout_s == timeout_s
    assert (read.camera.loop, read.watch) == (station.camera.loop, station.watch)


def test_a_variable_can_unset_a_key_of_the_file() -> None:
    station = Station.model_validate(FILE)
    assert taken(station, SEMEDGE_LOOP="0").camera.loop is False


def test_a_given_value_leaves_the_other_keys() -> None:
    """One of several cameras takes what the station's table says, but only what it does say."""
    read = taken(Station(), "--timeout-s", "5")
    assert read.camera.model_fields_set == {"timeout_s"}


@pytest.mark.parametrize(
    "arguments",
    [("--timeout-s", "0"), ("--timeout-s", "inf"), ("--workers", "0"), ("--max-frames", "many")],
)
def test_nonsense_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"Invalid value for '{arguments[0]}'"):
        taken(Station(), *arguments)


def test_help_has_the_bounds_and_the_words_of_the_station_file() -> None:
    @click.command()
    @setting_option(CameraSection, "timeout_s", "--timeout-s", metavar="S")
    def command() -> None:
        pass

    shown = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    described = CameraSection.model_fields["timeout_s"].description
    assert f"--timeout-s S {described} [default: 10.0; x>0]" in shown


def test_contradictory_values_are_refused() -> None:
    given = GivenSettings()
    given.add(DecisionSettings, "frames_above", 3)
    assert given.over(DecisionSettings(of_frames=3)).frames_above == 3
    with pytest.raises(SemedgeError, match=r"\bframes_above\b.*\bof_frames\b"):
        given.over(DecisionSettings(of_frames=2))
