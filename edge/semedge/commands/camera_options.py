"""Options of every command that opens a camera."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import click

from semedge.cameras import CameraSettings

Command = Callable[..., Any]


class Region(click.ParamType):
    """`LEFT,TOP,WIDTH,HEIGHT` in pixels, or the four numbers of a station file."""

    name = "LEFT,TOP,WIDTH,HEIGHT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Four whole numbers, none below 0 and no side of 0."""
        parts = value.split(",") if isinstance(value, str) else value
        try:
            left, top, width, height = (int(part) for part in parts)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not LEFT,TOP,WIDTH,HEIGHT, such as 0,0,640,480.", param, ctx)
        if min(left, top) < 0 or min(width, height) < 1:
            self.fail(f"{value!r} is no part of a picture.", param, ctx)
        return left, top, width, height


class Feature(click.ParamType):
    """`NAME=VALUE`, or a pair of a station file."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Name and value."""
        if not isinstance(value, str):
            name, text = value
            return name, text
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not NAME=VALUE, such as BlackLevel=4.", param, ctx)
        return name, text


crop_option = click.option(
    "--crop-bottom-px",
    type=click.IntRange(min=0),
    envvar="SEMEDGE_CROP_BOTTOM_PX",
    default=0,
    show_default=True,
    metavar="PX",
    help="Rows cut off at the lower edge of every frame: an information bar.",
)
"""The option of a camera that image files have, too."""

OPTIONS = (
    click.option(
        "--exposure-us",
        type=click.FloatRange(min=0, min_open=True),
        envvar="SEMEDGE_EXPOSURE_US",
        metavar="US",
        help="Exposure time of a genicam:, pylon: or aravis: camera, as the next six.",
    ),
    click.option(
        "--gain", type=float, envvar="SEMEDGE_GAIN", metavar="DB", help="Gain in its own unit."
    ),
    click.option(
        "--camera-rate-hz",
        "frame_rate_hz",
        type=click.FloatRange(min=0, min_open=True),
        envvar="SEMEDGE_FRAME_RATE_HZ",
        metavar="HZ",
        help="Frames a second, where it runs free.",
    ),
    click.option(
        "--region-px",
        type=Region(),
        envvar="SEMEDGE_REGION_PX",
        help="The part of the sensor that is read.",
    ),
    click.option(
        "--pixel-format",
        envvar="SEMEDGE_PIXEL_FORMAT",
        metavar="NAME",
        help="Pixel format, from Mono8 to Mono16.",
    ),
    click.option(
        "--trigger",
        envvar="SEMEDGE_TRIGGER",
        metavar="off|software|LINE",
        help="Free run, a frame when one is asked for, or a signal on an input such as Line1.",
    ),
    click.option(
        "--feature",
        "features",
        type=Feature(),
        multiple=True,
        envvar="SEMEDGE_FEATURES",
        help="A further feature by its GenICam name; repeatable.",
    ),
    crop_option,
)
UNSAID: Mapping[str, Any] = {
    "exposure_us": None,
    "gain": None,
    "frame_rate_hz": None,
    "region_px": None,
    "pixel_format": None,
    "trigger": None,
    "features": (),
    "crop_bottom_px": 0,
}
"""The options by name, with what they are where nothing is said."""


def settings_from(options: Mapping[str, Any]) -> CameraSettings:
    """The settings that the options say."""
    return CameraSettings(**{name: options[name] for name in UNSAID})


def camera_options(command: Command) -> Command:
    """Give a command the options of a camera; it gets them as one `camera_settings`."""

    @functools.wraps(command)
    def gather(*arguments: Any, **options: Any) -> Any:
        settings = settings_from(options)
        others = {name: value for name, value in options.items() if name not in UNSAID}
        return command(*arguments, camera_settings=settings, **others)

    with_options: Command = gather
    for option in reversed(OPTIONS):
        with_options = option(with_options)
    return with_options
