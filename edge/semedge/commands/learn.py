"""`semedge learn`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, get_args

import click

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.commands.camera_options import camera_options
from semedge.commands.collecting import collect, pace_options
from semedge.commands.guarantee_options import guarantee_of, guarantee_options
from semedge.commands.recipe_options import identity_options
from semedge.commands.scoring_options import workers_option
from semedge.commands.setting_options import FILE, GivenSettings, pass_given
from semedge.core.console import print_json, shown_progress
from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.decision.calibrate import note_on_high_scores
from semedge.decision.contact_sheet import draw_contact_sheet
from semedge.inference.overlay import encode_png
from semedge.learning.frame_store import FrameStore
from semedge.learning.learn import features_content
from semedge.learning.lesson import Lesson, LessonRequest, hourly, learn_lesson, pace
from semedge.learning.options import Speed, parse_options
from semedge.learning.screening import Screening, named
from semedge.station.recipe import SUFFIX, check_name, make_recipe

logger = logging.getLogger(__name__)

CAMERA_FRAMES = 400
"""Frames to take of a camera: 299 prove 1 % with 95 % confidence, and the rest are fitted to."""


@click.command()
@click.option("--camera", metavar="SOURCE", help="A camera that shows normal material.")
@click.option("--images", metavar="PATH", help="Normal frames: a folder, a glob or a file.")
@click.option(
    "--frames",
    type=click.IntRange(2),
    show_default=f"{CAMERA_FRAMES} of a camera that has no end",
    help="Frames to take.",
)
@pace_options
@identity_options
@click.option(
    "--speed",
    type=click.Choice(get_args(Speed)),
    default="balanced",
    show_default=True,
    help="How large the network sees each frame: 0.75, 1 or 1.25 times.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Choose a variant by hand: position, even_light, bank or fine, each auto, on or off; "
    "repeatable.",
)
@click.option(
    "--fit-frames",
    type=click.IntRange(1),
    metavar="N",
    help="Frames that the detector is fitted to, the first ones; the others set the threshold.",
)
@guarantee_options
@click.option(
    "--accept-weaker",
    is_flag=True,
    help="Accept a higher false-alarm rate where the frames prove no lower one.",
)
@workers_option()
@click.option("--replace", is_flag=True, help="Replace a recipe that exists.")
@click.option("--out", required=True, type=FILE, metavar="FILE", help="The recipe to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the result to stdout as JSON too.")
@camera_options
@pass_given
def learn(
    given: GivenSettings,
    camera: str | None,
    images: str | None,
    frames: int | None,
    minutes: float | None,
    every_s: float,
    name: str,
    recipe_version: int,
    speed: Speed,
    options: tuple[str, ...],
    fit_frames: int | None,
    accept_weaker: bool,
    workers: int | None,
    replace: bool,
    out: Path,
    as_json: bool,
    **guarantee: Any,
) -> None:
    """Learn a normal material from a camera or from files, and write a recipe to watch with.

    Collects frames, leaves out the ones that cannot be used, fits a detector to the first of them,
    and sets its threshold by the later ones. The frames of a camera stay in a folder beside the
    recipe, and an interrupted command goes on with them when it is run again.

    Ends with exit status 3 where the frames cannot prove the requested false-alarm rate.
    """
    source = _source(camera, images)
    request = guarantee_of(guarantee)
    chosen = parse_options(options, speed)
    check_name(name)
    if out.suffix != SUFFIX:
        raise click.UsageError(f"--out must end in {SUFFIX}. Received: {out}")
    if out.exists() and not replace:
        raise SemedgeError(f"{out} exists; give another name, or replace it with --replace.")
    features_content()
    settings = given.over(CameraSettings())
    screening = Screening()
    with open_camera(source, settings=settings) as opened:
        if request.group_every_s is not None and not opened.timed:
            raise click.UsageError(
                "--group-every-s needs a live camera, because files have no capture time; use "
                "--group-by."
            )
        store = _collect(opened, out, screening, frames, minutes, every_s)
        rate_hz = guarantee["line_rate_hz"] or _pace_hz(opened, store)
    lesson_request = LessonRequest(request, chosen, fit_frames, accept_weaker, rate_hz, workers)
    with shown_progress() as show:
        lesson = learn_lesson(store, lesson_request, screening, lambda stage: show(stage, None))
    make_recipe(
        out,
        name,
        lesson.bundle_content,
        lesson.calibration.to_json().encode(),
        version=recipe_version,
        camera=settings,
    )
    sheet = out.with_suffix(".sheet.png")
    picture = draw_contact_sheet(lesson.normal.highest, lesson.calibration.threshold)
    write_atomically(sheet, encode_png(picture))
    _report(lesson, rate_hz, out, source)
    logger.info(f"The frames that set the threshold are in {sheet}; look for defects among them.")
    if camera is None:
        store.remove()
    else:
        logger.info(f"The frames are kept in {store.folder}.")
    if as_json:
        print_json(_document(lesson, out))


def _source(camera: str | None, images: str | None) -> str:
    if (camera is None) == (images is None):
        raise click.UsageError("Give --camera SOURCE or --images PATH.")
    return camera if camera is not None else str(images)


def _collect(
    camera: Camera,
    out: Path,
    screening: Screening,
    frames: int | None,
    minutes: float | None,
    every_s: float,
) -> FrameStore:
    if frames is None and minutes is None and not camera.ends:
        frames = CAMERA_FRAMES
    store = FrameStore(out.with_suffix(".frames"), camera.source)
    if len(store):
        logger.info(f"Going on with the {len(store)} frames in {store.folder}.")
    collect(camera, store, screening, frames, minutes, every_s)
    return store


def _pace_hz(camera: Camera, store: FrameStore) -> float:
    """Frames a second of a live camera; 1 for files."""
    if not camera.timed or len(store) < 2:
        return 1.0
    seconds = store.entries[-1].captured_at_s - store.entries[0].captured_at_s
    return (len(store) - 1) / seconds if seconds > 0 else 1.0


def _report(lesson: Lesson, rate_hz: float, out: Path, source: str) -> None:
    calibration, proof = lesson.calibration, lesson.proof
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
        f"{hourly(calibration.proved_rate, rate_hz)} false alarms an hour. By the method "
        f"conformal, which holds on average over calibrations, the same frames prove "
        f"{hourly(proof.conformal_rate, rate_hz)} an hour."
    )
    if proof.count < proof.needed:
        logger.warning(
            f"That is more than was asked for: {proof.needed - proof.count} more frames would "
            "prove the requested rate.",
            extra={"event": "weaker-guarantee"},
        )
    logger.info(f"Wrote {out}. Next: semedge watch --recipe {out} --camera {source}")


def _document(lesson: Lesson, out: Path) -> dict[str, Any]:
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
