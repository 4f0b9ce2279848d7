"""`semedge calibrate`."""

from __future__ import annotations

import json
import logging
from itertools import islice
from pathlib import Path
from typing import Any

import click

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.commands.camera_options import camera_options
from semedge.commands.guarantee_options import guarantee_of, guarantee_options
from semedge.commands.scoring_options import detector_option, stride_option, workers_option
from semedge.commands.setting_options import GivenSettings, pass_given
from semedge.core.console import print_json, progress
from semedge.decision.calibrate import calibrate_detector, check_request
from semedge.decision.calibration_file import save_calibration
from semedge.inference.detector import Detector
from semedge_calibration import Calibration

logger = logging.getLogger(__name__)

SECONDS_PER_DAY = 86_400


@click.command()
@detector_option()
@click.option("--images", metavar="PATH", help="Normal frames: a folder, a glob or a file.")
@click.option("--camera", metavar="SOURCE", help="A camera that shows normal material.")
@click.option("--frames", type=click.IntRange(1), help="Frames to take from the camera.")
@guarantee_options
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
    stride_px: int | None,
    workers: int | None,
    allow_training_frames: bool,
    out: Path,
    as_json: bool,
    **guarantee: Any,
) -> None:
    """Set the threshold from normal frames, with a provable false-alarm rate.

    Ends with exit status 3 where the frames cannot prove the requested rate.
    """
    source = _source(images, camera, frames)
    request = guarantee_of(guarantee, allow_training_frames=allow_training_frames)
    if request.group_every_s is not None and camera is None:
        raise click.UsageError("--group-every-s needs --camera; group files with --group-by.")
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
        _check_camera(opened, frames, request.group_every_s)
        shown = progress(islice(opened, frames), "Scoring normal frames", total=frames)
        calibration = calibrate_detector(detector, shown, request, opened.skipped)
    save_calibration(out, calibration)
    _report(calibration, guarantee["line_rate_hz"], out)
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
