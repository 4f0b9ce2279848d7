"""`semedge calibrate`."""

from __future__ import annotations

import json
import logging
import re
from itertools import islice
from pathlib import Path

import click

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.commands.camera_options import camera_options
from semedge.commands.scoring_options import detector_option, stride_option, workers_option
from semedge.commands.setting_options import GivenSettings, pass_given
from semedge.core.console import print_json, progress
from semedge.core.errors import SemedgeError
from semedge.decision.calibrate import CalibrationRequest, calibrate_detector, check_request
from semedge.decision.calibration_file import save_calibration
from semedge.decision.fields import parse_fields
from semedge.inference.detector import Detector
from semedge_calibration import METHODS, Calibration, Method

logger = logging.getLogger(__name__)

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


@click.command()
@detector_option()
@click.option("--images", metavar="PATH", help="Normal frames: a folder, a glob or a file.")
@click.option("--camera", metavar="SOURCE", help="A camera that shows normal material.")
@click.option("--frames", type=click.IntRange(1), help="Frames to take from the camera.")
@click.option(
    "--false-alarm-rate",
    type=float,
    callback=_share,
    show_default=str(CalibrationRequest.false_alarm_rate),
    help="Share of normal frames that may raise an alarm.",
)
@click.option(
    "--false-alarms-per-day",
    type=float,
    callback=_positive,
    help="The same rate as a number a day; needs --frame-rate.",
)
@click.option(
    "--frame-rate",
    "line_rate_hz",
    type=float,
    callback=_positive,
    metavar="HZ",
    help="Frames a second that the station will inspect.",
)
@click.option(
    "--confidence",
    type=float,
    callback=_share,
    default=CalibrationRequest.confidence,
    show_default=True,
    help="Confidence of the guarantee, with the method tolerance.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default=CalibrationRequest.method,
    show_default=True,
    help="How the guarantee holds: tolerance with the confidence, conformal only on average over "
    "calibrations.",
)
@click.option(
    "--group-by",
    callback=_pattern,
    metavar="REGEX",
    help="Frames whose file names agree in the first group of this expression count once; for "
    "example '^(scene[0-9]+)'.",
)
@click.option(
    "--group-every-s",
    type=float,
    callback=_positive,
    metavar="SECONDS",
    help="Frames of a camera in the same block of this many seconds count once.",
)
@click.option(
    "--fields",
    callback=_size,
    metavar="WxH",
    help="Split each frame into fields of this size; they must be far enough apart to be "
    "independent.",
)
@stride_option()
@workers_option()
@click.option(
    "--allow-training-frames",
    is_flag=True,
    help="Accept frames that the detector was trained on, with a warning in the file.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The calibration to write.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the calibration to stdout too.")
@camera_options
@pass_given
def calibrate(
    given: GivenSettings,
    detector_path: Path | None,
    images: str | None,
    camera: str | None,
    frames: int | None,
    false_alarm_rate: float | None,
    false_alarms_per_day: float | None,
    line_rate_hz: float | None,
    confidence: float,
    method: Method,
    group_by: re.Pattern[str] | None,
    group_every_s: float | None,
    fields: tuple[int, int] | None,
    stride_px: int | None,
    workers: int | None,
    allow_training_frames: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Set the threshold from normal frames, with a provable false-alarm rate.

    Ends with exit status 3 where the frames cannot prove the requested rate.
    """
    source = _source(images, camera, frames)
    if group_by is not None and group_every_s is not None:
        raise click.UsageError("Give --group-by or --group-every-s, not both.")
    if group_every_s is not None and camera is None:
        raise click.UsageError("--group-every-s needs --camera; group files with --group-by.")
    if fields is not None and line_rate_hz is not None:
        raise click.UsageError(
            "Give --frame-rate or --fields, not both: with --fields the guarantee is for a field."
        )
    request = CalibrationRequest(
        _rate(false_alarm_rate, false_alarms_per_day, line_rate_hz),
        confidence,
        method,
        group_by,
        group_every_s,
        fields,
        allow_training_frames,
    )
    needed = check_request(request)
    if detector_path is None:
        logger.info(
            "Using the demo detector that ships with semedge; choose another with --detector."
        )
    logger.info(
        f"Scoring normal frames; the guarantee needs {needed:,} independent {request.unit}."
    )
    with (
        Detector.load(detector_path, stride_px=stride_px, workers=workers) as detector,
        open_camera(source, settings=given.over(CameraSettings())) as opened,
    ):
        _check_camera(opened, frames, group_every_s)
        shown = progress(islice(opened, frames), "Scoring normal frames", total=frames)
        calibration = calibrate_detector(detector, shown, request, opened.skipped)
    save_calibration(out, calibration)
    _report(calibration, line_rate_hz, out)
    if as_json:
        print_json({"path": str(out), **json.loads(calibration.to_json())})


def _source(images: str | None, camera: str | None, frames: int | None) -> str:
    if images is not None and camera is None:
        if frames is not None:
            raise click.UsageError("--frames needs --camera; --images uses every image.")
        return images
    if camera is not None and images is None:
        if frames is None:
            raise click.UsageError("--camera needs --frames, the number of frames to take.")
        return camera
    raise click.UsageError("Give normal frames with --images PATH, or --camera SOURCE --frames N.")


def _check_camera(camera: Camera, frames: int | None, group_every_s: float | None) -> None:
    if frames is None and not camera.ends:
        raise click.UsageError(
            f"--images needs a source that ends; use --camera {camera.source} --frames N."
        )
    if group_every_s is not None and not camera.timed:
        raise click.UsageError(
            "--group-every-s needs a live camera, because files have no capture time; use "
            "--group-by."
        )


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


def _report(calibration: Calibration, line_rate_hz: float | None, out: Path) -> None:
    for warning in calibration.warnings:
        logger.warning(f"{warning}.", extra={"event": "calibration-warning"})
    logger.info(calibration.guarantee)
    rate_hz = 1.0 if line_rate_hz is None else line_rate_hz
    hourly = calibration.false_alarms_per_hour(rate_hz)
    unit = "frame" if calibration.fields is None else "field"
    plural = "" if rate_hz == 1 else "s"
    logger.info(
        f"At {rate_hz:g} {unit}{plural} a second that is at most {_amount(hourly)} false alarms "
        f"an hour, {_amount(24 * hourly)} a day."
    )
    logger.info(
        f"Threshold {calibration.threshold:.6g}; an alarm is a score above it. Wrote {out}."
    )


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
