"""`semedge learn`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, get_args

import click

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.commands.camera_options import camera_options
from semedge.commands.collecting import collect, pace_options
from semedge.commands.guarantee_options import (
    guarantee_is_given,
    guarantee_of,
    guarantee_options,
)
from semedge.commands.learning_again import AgainRequest, check_out, learn_again
from semedge.commands.lesson_report import lesson_document, report_lesson, write_sheet
from semedge.commands.recipe_options import name_option, version_option
from semedge.commands.scoring_options import workers_option
from semedge.commands.setting_options import FILE, GivenSettings, is_given, pass_given
from semedge.core.console import print_json, shown_progress
from semedge.learning.frame_store import FrameStore
from semedge.learning.learn import features_content
from semedge.learning.lesson import LessonRequest, learn_lesson
from semedge.learning.options import Speed, parse_options
from semedge.learning.screening import Screening
from semedge.station.recipe import check_name, make_recipe
from semedge.station.relearn import FRAMES_SUFFIX

logger = logging.getLogger(__name__)

CAMERA_FRAMES = 400
"""Frames to take of a camera: 299 prove 1 % with 95 % confidence, and the rest are fitted to."""


@click.command()
@click.option(
    "--camera",
    metavar="SOURCE",
    help="A camera that shows normal material; with --from-station, the name of one of its "
    "cameras, where it has several.",
)
@click.option("--images", metavar="PATH", help="Normal frames: a folder, a glob or a file.")
@click.option(
    "--from-station",
    "station",
    type=FILE,
    metavar="FILE",
    help="Learn the recipe of a station's camera again, with the alerts that were marked as false "
    "alarms among its normal frames, which are the recipe's own or those of --images.",
)
@click.option(
    "--frames",
    type=click.IntRange(2),
    show_default=f"{CAMERA_FRAMES} of a live camera, else all",
    help="Frames to take.",
)
@pace_options
@name_option(required=False)
@version_option
@click.option(
    "--speed",
    type=click.Choice(get_args(Speed)),
    default="balanced",
    show_default=True,
    help="Scale at which the network sees each frame: 0.75, 1 or 1.25.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Choose a variant by hand: position, even_light, bank, fine, gray or colour, each auto, "
    "on or off; repeatable.",
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
    help="Accept a higher false-alarm rate where the frames cannot prove the requested one.",
)
@workers_option()
@click.option("--replace", is_flag=True, help="Replace a recipe that exists.")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="The recipe to write; with --from-station by default the next version, beside the other "
    "recipes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result to stdout as JSON too.")
@camera_options
@pass_given
@click.pass_context
def learn(
    ctx: click.Context,
    given: GivenSettings,
    camera: str | None,
    images: str | None,
    station: Path | None,
    frames: int | None,
    minutes: float | None,
    every_s: float,
    name: str | None,
    recipe_version: int,
    speed: Speed,
    options: tuple[str, ...],
    fit_frames: int | None,
    accept_weaker: bool,
    workers: int | None,
    replace: bool,
    out: Path | None,
    as_json: bool,
    **guarantee: Any,
) -> None:
    """Learn a normal material from a camera or from files, and write a recipe to watch with.

    Collects frames, leaves out those that cannot be used, fits a detector to the first ones, and
    sets its threshold with the later ones. The frames of a camera stay in a folder beside the
    recipe, and an interrupted command continues with them when it is run again.

    With --from-station it learns again from the frames that were marked at a station, and reports
    how the new recipe judges each of them. The station keeps the recipe that it has.

    The exit status is 3 where the frames cannot prove the requested false-alarm rate.
    """
    request = guarantee_of(guarantee)
    chosen = parse_options(options, speed)
    if name is not None:
        check_name(name)
    if station is not None:
        learn_again(
            AgainRequest(
                station,
                camera,
                images,
                out,
                name,
                recipe_version if is_given(ctx, "recipe_version") else None,
                LessonRequest(request, chosen, fit_frames, accept_weaker, workers=workers),
                rate_hz=guarantee["line_rate_hz"],
                guarantee_given=guarantee_is_given(ctx),
                speed_given=is_given(ctx, "speed"),
                replace=replace,
            ),
            as_json=as_json,
        )
        return
    source = _source(camera, images)
    if name is None or out is None:
        missing = "--name" if name is None else "--out"
        raise click.MissingParameter(ctx=ctx, param_type="option", param_hint=f"'{missing}'")
    check_out(out, replace=replace)
    features_content()
    settings = given.over(CameraSettings())
    screening = Screening()
    with open_camera(source, settings=settings) as opened:
        if request.group_every_s is not None and not opened.timed:
            raise click.UsageError(
                "--group-every-s needs a live camera, because files have no capture time; use "
                "--group-by."
            )
        store = _collect(opened, out, screening, settings, frames, minutes, every_s)
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
    report_lesson(lesson, rate_hz)
    logger.info(f"Wrote {out}. Next: semedge watch --recipe {out} --camera {source}")
    write_sheet(lesson, out)
    if camera is None:
        store.remove()
    else:
        logger.info(f"The frames are kept in {store.folder}.")
    if as_json:
        print_json(lesson_document(lesson, out))


def _source(camera: str | None, images: str | None) -> str:
    if (camera is None) == (images is None):
        raise click.UsageError("Give --camera SOURCE or --images PATH.")
    return camera if camera is not None else str(images)


def _collect(
    camera: Camera,
    out: Path,
    screening: Screening,
    settings: CameraSettings,
    frames: int | None,
    minutes: float | None,
    every_s: float,
) -> FrameStore:
    if frames is None and minutes is None and not camera.ends:
        frames = CAMERA_FRAMES
    store = FrameStore(out.with_suffix(FRAMES_SUFFIX), camera.source)
    before = len(store)
    if before:
        logger.info(f"Continuing with the {before} frames in {store.folder}.")
    collect(camera, store, screening, frames, minutes, every_s)
    if len(store) == before:
        # No frame has come with the regions that are given now.
        store.view_by(settings)
    return store


def _pace_hz(camera: Camera, store: FrameStore) -> float:
    """Frames a second of a live camera; 1 for files."""
    if not camera.timed or len(store) < 2:
        return 1.0
    seconds = store.entries[-1].captured_at_s - store.entries[0].captured_at_s
    return (len(store) - 1) / seconds if seconds > 0 else 1.0
