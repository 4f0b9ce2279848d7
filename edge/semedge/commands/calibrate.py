"""`semedge calibrate`."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.commands.camera_options import camera_options
from semedge.commands.guarantee_options import guarantee_of, guarantee_options
from semedge.commands.scoring_options import detector_option, stride_option, workers_option
from semedge.commands.setting_options import FILE, GivenSettings, pass_given
from semedge.core.console import print_json, progress
from semedge.core.files import write_atomically
from semedge.decision.calibrate import calibrate_detector, check_request, note_on_high_scores
from semedge.decision.calibration_file import save_calibration
from semedge.decision.contact_sheet import draw_contact_sheet
from semedge.decision.normal_scores import NormalScores
from semedge.inference.detector import Detector
from semedge.inference.overlay import encode_png
from semedge_calibration import Calibration

logger = logging.getLogger(__name__)

SECONDS_PER_DAY = 86_400
HIGHEST_NAMED = 3


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
@click.option(
    "--contact-sheet",
    type=FILE,
    metavar="FILE",
    help="Write a PNG that shows the frames with the highest scores, which set the threshold.",
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
    contact_sheet: Path | None,
    as_json: bool,
    **guarantee: Any,
) -> None:
    """Set the threshold from normal frames, with a provable false-alarm rate.

    The exit status is 3 where the frames cannot prove the requested rate.
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
    with ExitStack() as stack:
        detector = stack.enter_context(
            Detector.load(detector_path, stride_px=stride_px, workers=workers)
        )
        settings = given.over(CameraSettings()).with_bits(detector.bits)
        request = replace(request, bits=settings.bits)
        opened = stack.enter_context(open_camera(source, settings=settings))
        _check_camera(opened, frames, request.group_every_s)
        shown = progress(islice(opened, frames), "Scoring normal frames", total=frames)
        normal = NormalScores()
        calibration = calibrate_detector(detector, shown, request, opened.skipped, normal)
    save_calibration(out, calibration)
    _report(calibration, normal, guarantee["line_rate_hz"], out)
    if contact_sheet is not None:
        picture = draw_contact_sheet(normal.highest, calibration.threshold)
        write_atomically(contact_sheet, encode_png(picture))
        logger.info(f"The frames with the highest scores are in {contact_sheet}.")
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
            "--group-every-s needs a live camera, because the time of a file may be that of its "
            "copy; use --group-by."
        )


def _report(
    calibration: Calibration, normal: NormalScores, line_rate_hz: float | None, out: Path
) -> None:
    for warning in calibration.warnings:
        logger.warning(f"{warning}.", extra={"event": "calibration-warning"})
    logger.info(calibration.guarantee)
    rate_hz = 1.0 if line_rate_hz is None else line_rate_hz
    hourly = calibration.false_alarms_per_hour(rate_hz)
    unit = "frame" if calibration.fields is None else "field"
    plural = "" if rate_hz == 1 else "s"
    logger.info(
        f"At {rate_hz:g} {unit}{plural} a second that is at most {_amount(hourly)} false alarms "
        f"an hour, {_amount(24 * hourly)} a day{_of_groups(calibration)}."
    )
    highest = normal.highest[:HIGHEST_NAMED]
    if note := note_on_high_scores(normal):
        logger.info(note)
    named = ", ".join(f"{each.score:.5g} ({each.source})" for each in highest)
    logger.info(f"The highest scores, which set the threshold, are {named}.")
    logger.info(
        f"Threshold {calibration.threshold:.6g}; an alarm is a score above it. Wrote {out}."
    )


def _of_groups(calibration: Calibration) -> str:
    if calibration.largest_group is None:
        return ""
    return (
        ", should the largest groups alarm: the largest has "
        f"{calibration.largest_group:.3g} times the frames of a mean one"
    )


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
