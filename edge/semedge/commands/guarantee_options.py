"""Options for the guarantee of a calibration, and how normal frames are counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from semedge.commands.setting_options import is_given
from semedge.core.errors import SemedgeError
from semedge.decision.calibration_request import CalibrationRequest
from semedge.decision.fields import parse_fields
from semedge_calibration import METHODS

Command = Callable[..., Any]

SECONDS_PER_DAY = 86_400


def _pattern(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> re.Pattern[str] | None:
    if value == "":
        raise click.BadParameter("must not be empty.")
    try:
        return None if value is None else re.compile(value)
    except re.error as error:
        raise click.BadParameter(
            f"is not a regular expression ({error}). Received: {value!r}"
        ) from error


def _size(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    try:
        return None if value is None else parse_fields(value)
    except SemedgeError as error:
        raise click.BadParameter(str(error)) from error


def _share(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value < 1:
        raise click.BadParameter(f"must lie between 0 and 1, such as 0.01. Received: {value}")
    return value


def _positive(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise click.BadParameter(f"must be above 0. Received: {value}")
    return value


OPTIONS = (
    click.option(
        "--false-alarm-rate",
        type=float,
        callback=_share,
        show_default=str(CalibrationRequest.false_alarm_rate),
        help="Share of normal frames that may raise an alarm.",
    ),
    click.option(
        "--false-alarms-per-day",
        type=float,
        callback=_positive,
        help="The same rate as a number a day; needs --frame-rate.",
    ),
    click.option(
        "--frame-rate",
        "line_rate_hz",
        type=float,
        callback=_positive,
        metavar="HZ",
        help="Frames a second that the station will inspect.",
    ),
    click.option(
        "--confidence",
        type=float,
        callback=_share,
        default=CalibrationRequest.confidence,
        show_default=True,
        help="Confidence of the guarantee, with the method tolerance.",
    ),
    click.option(
        "--method",
        type=click.Choice(METHODS),
        default=CalibrationRequest.method,
        show_default=True,
        help="How the guarantee holds: tolerance, with the confidence; conformal, only on average "
        "over calibrations.",
    ),
    click.option(
        "--group-by",
        callback=_pattern,
        metavar="REGEX",
        help="Frames whose file names agree in the first group of this expression count once; for "
        "example '^(scene[0-9]+)'.",
    ),
    click.option(
        "--group-every-s",
        type=float,
        callback=_positive,
        metavar="SECONDS",
        help="Frames of a camera in the same block of this many seconds count once.",
    ),
    click.option(
        "--fields",
        callback=_size,
        metavar="WxH",
        help="Split each frame into fields of this size; they must be far enough apart to be "
        "independent.",
    ),
)


OF_THE_GUARANTEE = (
    *("false_alarm_rate", "false_alarms_per_day", "confidence", "method"),
    *("group_by", "group_every_s", "fields"),
)
"""Names of the options that change what is proved."""


def guarantee_options(command: Command) -> Command:
    """Add the options; their values are passed to the command, for `guarantee_of`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def guarantee_of(
    options: dict[str, Any], *, allow_training_frames: bool = False
) -> CalibrationRequest:
    """The request by the values of `guarantee_options`; a usage error where they conflict."""
    if options["group_by"] is not None and options["group_every_s"] is not None:
        raise click.UsageError("Give --group-by or --group-every-s, not both.")
    if options["fields"] is not None and options["line_rate_hz"] is not None:
        raise click.UsageError(
            "Give --frame-rate or --fields, not both: with --fields the guarantee is for a field."
        )
    rate = _rate(
        options["false_alarm_rate"], options["false_alarms_per_day"], options["line_rate_hz"]
    )
    return CalibrationRequest(
        rate,
        options["confidence"],
        options["method"],
        options["group_by"],
        options["group_every_s"],
        options["fields"],
        allow_training_frames,
    )


def guarantee_is_given(ctx: click.Context) -> bool:
    """Whether any option was given that changes the guarantee."""
    return any(is_given(ctx, name) for name in OF_THE_GUARANTEE)


def _rate(
    false_alarm_rate: float | None,
    false_alarms_per_day: float | None,
    line_rate_hz: float | None,
) -> float:
    if false_alarms_per_day is None:
        return false_alarm_rate or CalibrationRequest.false_alarm_rate
    if false_alarm_rate is not None:
        raise click.UsageError("Give --false-alarm-rate or --false-alarms-per-day, not both.")
    if line_rate_hz is None:
        raise click.UsageError("--false-alarms-per-day needs --frame-rate.")
    rate = false_alarms_per_day / (line_rate_hz * SECONDS_PER_DAY)
    if rate >= 1:
        raise click.UsageError(
            f"--false-alarms-per-day must be below the frames of a day, "
            f"{line_rate_hz * SECONDS_PER_DAY:,.0f}. Received: {false_alarms_per_day:g}"
        )
    return rate
