"""Options of `semedge watch` for keys of the station file, each with a `SEMEDGE_*` variable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from semedge.commands.camera_options import camera_options
from semedge.commands.scoring_options import detector_option, stride_option, workers_option
from semedge.commands.setting_options import FILE, GivenSettings, pass_given, setting_option
from semedge.station.config.sections import (
    CalibrationSection,
    CameraSection,
    JournalSection,
    RecipeSection,
    WatchSection,
)

Command = Callable[..., Any]

OPTIONS = (
    setting_option(
        *(CameraSection, "source", "--camera"), envvar="SEMEDGE_CAMERA", metavar="SOURCE"
    ),
    detector_option(setting_option, envvar="SEMEDGE_DETECTOR"),
    setting_option(
        *(RecipeSection, "file", "--recipe"), type=FILE, envvar="SEMEDGE_RECIPE", metavar="FILE"
    ),
    setting_option(
        *(CalibrationSection, "file", "--calibration"),
        type=FILE,
        envvar="SEMEDGE_CALIBRATION",
        metavar="FILE",
    ),
    setting_option(
        *(JournalSection, "file", "--journal"), type=FILE, envvar="SEMEDGE_JOURNAL", metavar="FILE"
    ),
    setting_option(
        *(JournalSection, "pictures", "--pictures"),
        type=click.Path(file_okay=False, path_type=Path),
        envvar="SEMEDGE_PICTURES",
        metavar="DIR",
    ),
    stride_option(setting_option, envvar="SEMEDGE_STRIDE"),
    workers_option(setting_option, envvar="SEMEDGE_WORKERS"),
    setting_option(
        *(CameraSection, "timeout_s", "--timeout-s"), envvar="SEMEDGE_TIMEOUT_S", metavar="S"
    ),
    setting_option(
        *(WatchSection, "stop_after_stalled_s", "--stop-after-stalled-s"),
        envvar="SEMEDGE_STOP_AFTER_STALLED_S",
        metavar="S",
    ),
    setting_option(
        *(WatchSection, "max_frames", "--max-frames"), envvar="SEMEDGE_MAX_FRAMES", metavar="N"
    ),
    setting_option(CameraSection, "loop", "--loop", envvar="SEMEDGE_LOOP"),
    setting_option(
        *(WatchSection, "require_check", "--require-check"), envvar="SEMEDGE_REQUIRE_CHECK"
    ),
    camera_options,
)


def station_options(command: Command) -> Command:
    """Add these options to a command, for its `GivenSettings`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def environment_settings() -> GivenSettings:
    """The values of the variables, as for a watch that is started without flags."""
    given: GivenSettings = _environment.main([], standalone_mode=False)
    return given


@click.command()
@station_options
@pass_given
def _environment(given: GivenSettings) -> GivenSettings:
    return given
