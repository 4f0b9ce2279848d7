"""Settings of a camera reach it from flags, variables and the station file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from semedge.cameras import CameraSettings
from semedge.commands.camera_options import camera_options
from semedge.commands.setting_options import GivenSettings, pass_given
from semedge.commands.watch import watch
from semedge.core.errors import SemedgeError

SETTINGS = CameraSettings(
    exposure_us=5000.0,
    region_px=(0, 8, 640, 480),
    trigger="Line1",
    crop_bottom_px=40,
    features=(("BlackLevel", "4"), ("ReverseX", "1"), ("Mode", "Fast")),
)


@pytest.fixture
def parse() -> Callable[..., CameraSettings]:
    """Settings of a command line."""
    taken: list[CameraSettings] = []

    @click.command()
    @click.option("--other", default=1)
    @camera_options
    @pass_given
    def command(given: GivenSettings, other: int) -> None:
        taken.append(given.over(CameraSettings()))

    def run(*arguments: str, **invocation: Any) -> CameraSettings:
        result = CliRunner().invoke(command, arguments, **invocation)
        if result.exit_code:
            raise ValueError(result.output)
        return taken[-1]

    return run


def test_without_options_the_camera_stays_as_it_is(parse: Callable[..., CameraSettings]) -> None:
    assert parse() == CameraSettings()


def test_flags_and_variables(parse: Callable[..., CameraSettings]) -> None:
    flags = ("--exposure-us", "5000", "--region-px", "0,8,640,480", "--crop-bottom-px", "40")
    features = ("--feature", "BlackLevel=4", "--feature", "ReverseX=1", "--feature", "Mode=Fast")
    assert parse(*flags, *features, env={"SEMEDGE_TRIGGER": "Line1"}) == SETTINGS


@pytest.mark.parametrize(
    "arguments",
    [
        ("--region-px", "0,0,640"),
        ("--region-px", "0,0,640,wide"),
        ("--region-px", "0,0,0,480"),
        ("--region-px", "-8,0,640,480"),
        ("--feature", "BlackLevel"),
        ("--feature", "=4"),
        ("--exposure-us", "0"),
        ("--exposure-us", "inf"),
        ("--gain", "nan"),
        ("--trigger", ""),
        ("--crop-bottom-px", "-1"),
    ],
)
def test_nonsense_is_wrong_usage(
    arguments: tuple[str, ...], parse: Callable[..., CameraSettings]
) -> None:
    with pytest.raises(ValueError, match=f"Invalid value for '{arguments[0]}'"):
        parse(*arguments)


def test_a_stations_settings_reach_its_camera(
    tmp_path: Path, tiny_file: Path, calibration_file: Path
) -> None:
    station = tmp_path / "semedge.toml"
    station.write_text('[camera]\nsource = "sim:1"\nexposure_us = 5000\n')
    result = CliRunner().invoke(
        watch,
        [
            *("--station", str(station), "--detector", str(tiny_file)),
            *("--calibration", str(calibration_file), "--journal", str(tmp_path / "j.sqlite")),
        ],
    )
    assert isinstance(result.exception, SemedgeError)
    assert re.search("exposure_us = 5000.0 .* sim:1; .* genicam:", str(result.exception))
