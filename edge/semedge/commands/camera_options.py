"""Options of every command that opens a camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from semedge.cameras import CameraSettings
from semedge.commands.setting_options import Decorator, OptionMaker, field_option, setting_option

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


def _crop(make: OptionMaker) -> Decorator:
    return make(
        *(CameraSettings, "crop_bottom_px", "--crop-bottom-px"),
        envvar="SEMEDGE_CROP_BOTTOM_PX",
        metavar="PX",
    )


crop_option = _crop(field_option)
"""The option of cameras that also applies to image files."""

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
    _crop(setting_option),
)


def camera_options(command: Command) -> Command:
    """Add the settings of a camera as options to a command, for its `GivenSettings`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
