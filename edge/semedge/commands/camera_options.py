"""Options of every command that opens a camera."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from semedge.cameras import CameraSettings
from semedge.commands.setting_options import (
    FILE,
    Decorator,
    OptionMaker,
    field_option,
    setting_option,
)
from semedge.core.view import ViewSettings

Command = Callable[..., Any]


class SensorRegion(click.ParamType):
    """`LEFT,TOP,WIDTH,HEIGHT` in pixels."""

    name = "LEFT,TOP,WIDTH,HEIGHT"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Four whole numbers."""
        try:
            left, top, width, height = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not LEFT,TOP,WIDTH,HEIGHT, such as 0,0,640,480.", param, ctx)
        return left, top, width, height


class Feature(click.ParamType):
    """`NAME=VALUE`."""

    name = "NAME=VALUE"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Name and value."""
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not NAME=VALUE, such as BlackLevel=4.", param, ctx)
        return name, text


def _crop(make: OptionMaker, edge: str) -> Decorator:
    return make(
        *(ViewSettings, f"crop_{edge}_px", f"--crop-{edge}-px"),
        envvar=f"SEMEDGE_CROP_{edge.upper()}_PX",
        metavar="PX",
    )


crop_option = _crop(field_option, "bottom")
"""The crop as a value that is passed to the command."""

FRAME_OPTIONS = (
    field_option(ViewSettings, "bits", "--bits", envvar="SEMEDGE_BITS", metavar="N"),
    *(_crop(field_option, edge) for edge in ("top", "bottom", "left", "right")),
)
FRAME_SETTINGS = ("bits", *(f"crop_{edge}_px" for edge in ("top", "bottom", "left", "right")))


def frame_options(command: Command) -> Command:
    """Add how whole frames are read, without regions, as options that are passed to a command."""
    for option in reversed(FRAME_OPTIONS):
        command = option(command)
    return command


def take_view(values: dict[str, Any]) -> ViewSettings:
    """The settings of `frame_options`, which are taken out of the command's values."""
    return ViewSettings(**{name: values.pop(name) for name in FRAME_SETTINGS})


VIEW_OPTIONS = (
    setting_option(ViewSettings, "bits", "--bits", envvar="SEMEDGE_BITS", metavar="N"),
    setting_option(
        *(ViewSettings, "pixel_size_um", "--pixel-size-um"),
        envvar="SEMEDGE_PIXEL_SIZE_UM",
        metavar="UM",
    ),
    *(_crop(setting_option, edge) for edge in ("top", "bottom", "left", "right")),
    setting_option(
        *(ViewSettings, "leave_out_px", "--leave-out-px"),
        type=SensorRegion(),
        multiple=True,
        envvar="SEMEDGE_LEAVE_OUT_PX",
    ),
    setting_option(
        *(ViewSettings, "leave_out_mask", "--leave-out-mask"),
        type=FILE,
        envvar="SEMEDGE_LEAVE_OUT_MASK",
        metavar="FILE",
    ),
)

OPTIONS = (
    setting_option(
        *(CameraSettings, "exposure_us", "--exposure-us"),
        envvar="SEMEDGE_EXPOSURE_US",
        metavar="US",
    ),
    setting_option(CameraSettings, "gain", "--gain", envvar="SEMEDGE_GAIN", metavar="DB"),
    setting_option(
        *(CameraSettings, "frame_rate_hz", "--camera-rate-hz"),
        envvar="SEMEDGE_FRAME_RATE_HZ",
        metavar="HZ",
    ),
    setting_option(
        *(CameraSettings, "region_px", "--region-px"),
        type=SensorRegion(),
        envvar="SEMEDGE_REGION_PX",
    ),
    setting_option(
        *(CameraSettings, "pixel_format", "--pixel-format"),
        envvar="SEMEDGE_PIXEL_FORMAT",
        metavar="NAME",
    ),
    setting_option(
        *(CameraSettings, "trigger", "--trigger"),
        envvar="SEMEDGE_TRIGGER",
        metavar="off|software|LINE",
    ),
    setting_option(
        *(CameraSettings, "features", "--feature"),
        type=Feature(),
        multiple=True,
        envvar="SEMEDGE_FEATURES",
    ),
    setting_option(CameraSettings, "recursive", "--recursive", envvar="SEMEDGE_RECURSIVE"),
    setting_option(CameraSettings, "follow", "--follow", envvar="SEMEDGE_FOLLOW"),
    setting_option(
        *(CameraSettings, "move_to", "--move-to"),
        type=click.Path(file_okay=False, path_type=Path),
        envvar="SEMEDGE_MOVE_TO",
        metavar="DIR",
    ),
    *VIEW_OPTIONS,
)


def view_options(command: Command) -> Command:
    """Add what of a frame is inspected as options to a command, for its `GivenSettings`."""
    for option in reversed(VIEW_OPTIONS):
        command = option(command)
    return command


def camera_options(command: Command) -> Command:
    """Add the settings of a camera as options to a command, for its `GivenSettings`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
