"""What `semedge learn` reports of a lesson, from a camera, from files or from a station."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from semedge.core.files import write_atomically
from semedge.decision.calibrate import note_on_high_scores
from semedge.decision.contact_sheet import draw_contact_sheet
from semedge.inference.overlay import encode_png
from semedge.learning.lesson import Lesson, hourly, pace
from semedge.learning.screening import named

logger = logging.getLogger(__name__)


def report_lesson(lesson: Lesson, rate_hz: float) -> None:
    """Log what was learned, and what it proves at a rate of frames."""
    calibration, proof = lesson.calibration, lesson.proof
    # The rates are of groups, and the largest ones may be those that alarm.
    largest = calibration.largest_group or 1.0
    if lesson.left_out:
        logger.info(f"Left out {len(lesson.left_out)} frames: {named(lesson.left_out)}.")
    choice = lesson.learned.manifest.choice
    logger.info(
        f"Fitted to {lesson.learned.manifest.training.frames} frames, calibrated on "
        f"{calibration.frames}. Chosen: {choice.reason if choice else ''}"
    )
    for warning in calibration.warnings:
        logger.warning(f"{warning}.", extra={"event": "calibration-warning"})
    if note := note_on_high_scores(lesson.normal):
        logger.info(note)
    logger.info(calibration.guarantee)
    logger.info(
        f"At {pace(rate_hz, calibration.fields is not None)} that is at most "
        f"{hourly(largest * calibration.proved_rate, rate_hz)} false alarms an hour. By the method "
        f"conformal, which holds on average over calibrations, the same frames prove "
        f"{hourly(largest * proof.conformal_rate, rate_hz)} an hour."
    )
    if proof.count < proof.needed:
        logger.warning(
            f"That is more than was asked for: {proof.needed - proof.count} more frames would "
            "prove the requested rate.",
            extra={"event": "weaker-guarantee"},
        )


def write_sheet(lesson: Lesson, out: Path) -> None:
    """Write the contact sheet beside a recipe, and log where it is."""
    sheet = out.with_suffix(".sheet.png")
    picture = draw_contact_sheet(lesson.normal.highest, lesson.calibration.threshold)
    write_atomically(sheet, encode_png(picture))
    logger.info(f"The frames that set the threshold are in {sheet}; look for defects among them.")


def lesson_document(lesson: Lesson, out: Path) -> dict[str, Any]:
    """The result as a JSON document."""
    manifest = lesson.learned.manifest
    return {
        "path": str(out),
        "threshold": lesson.calibration.threshold,
        "guarantee": lesson.calibration.guarantee,
        "proved_rate": lesson.calibration.proved_rate,
        "fit_frames": manifest.training.frames,
        "calibration_frames": lesson.calibration.frames,
        "left_out": [vars(each) for each in lesson.left_out],
        "normal_scores": lesson.normal.scores,
        "choice": None if manifest.choice is None else manifest.choice.model_dump(mode="json"),
    }
