"""`semedge learn --from-station`: what it reads, reports and writes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from semedge.cameras import CameraSettings, open_camera
from semedge.commands.collecting import collect
from semedge.commands.lesson_report import lesson_document, report_lesson, write_sheet
from semedge.core.console import print_json, shown_progress
from semedge.core.errors import SemedgeError
from semedge.core.mark import MarkName
from semedge.inference.manifest import Manifest
from semedge.learning.frame_store import FrameStore, link_frames, stored_camera
from semedge.learning.lesson import LessonRequest
from semedge.learning.options import MAGNIFICATIONS
from semedge.learning.screening import Screening, named
from semedge.station.camera_setup import SourceChoice, view_of, view_of_files
from semedge.station.config.station import Station, load_station
from semedge.station.marked_examples import Judged, Tally, tallies
from semedge.station.recipe import SUFFIX, make_recipe, read_recipe
from semedge.station.relearn import (
    FRAMES_SUFFIX,
    Relearned,
    Teacher,
    decision_without_levels,
    frame_rate_hz,
    guarantee_of_calibration,
    open_teacher,
    relearn,
)

logger = logging.getLogger(__name__)

NAMES_SHOWN = 5


@dataclass(frozen=True)
class AgainRequest:
    """What is learned again, from which station.

    Attributes
    ----------
    station
        The station file.
    camera
        Name of its camera; None for its only one.
    images
        Normal frames in place of the recipe's own.
    out, name, version
        The recipe to write; where they are None, what follows from the previous recipe.
    lesson
        How to learn.
    rate_hz
        Frames a second that the station inspects; None where it is not known.
    guarantee_given, speed_given
        Whether these parts of `lesson` were given, or are taken from the previous recipe.
    replace
        Whether a recipe that exists is replaced.
    """

    station: Path
    camera: str | None
    images: str | None
    out: Path | None
    name: str | None
    version: int | None
    lesson: LessonRequest
    rate_hz: float | None
    guarantee_given: bool
    speed_given: bool
    replace: bool


@dataclass(frozen=True)
class _Target:
    """The recipe to write."""

    out: Path
    name: str
    version: int


def check_out(out: Path, *, replace: bool) -> None:
    """Refuse the path of a recipe that has another ending, or that exists."""
    if out.suffix != SUFFIX:
        raise click.UsageError(f"--out must end in {SUFFIX}. Received: {out}")
    if out.exists() and not replace:
        raise SemedgeError(f"{out} exists; give another name, or replace it with --replace.")


def learn_again(request: AgainRequest, *, as_json: bool) -> None:
    """Learn again from a station, write the recipe, and report on every marked frame."""
    station = load_station(request.station)
    teacher = open_teacher(station, request.camera, request.lesson.workers)
    try:
        target = _target(request, station, teacher)
        check_out(target.out, replace=request.replace)
        screening = Screening()
        store = _normal_frames(request, teacher, target.out, screening)
        rate_hz = request.rate_hz or frame_rate_hz(station, teacher.camera) or 1.0
        lesson = _lesson_request(request, teacher, rate_hz)
        with shown_progress() as show:
            learned = relearn(teacher, store, lesson, screening, lambda stage: show(stage, None))
        _write(target, teacher, learned)
    finally:
        teacher.close()
    report_lesson(learned.lesson, rate_hz)
    write_sheet(learned.lesson, target.out)
    _report(learned, teacher)
    logger.info(f"The normal frames are kept in {store.folder}.")
    logger.info(f"Wrote {target.out}. {_next(request, station, target)}")
    if as_json:
        document = lesson_document(learned.lesson, target.out)
        print_json({**document, "marked": _document(learned)})


def _target(request: AgainRequest, station: Station, teacher: Teacher) -> _Target:
    identity = teacher.setup.recipe
    name = request.name or (None if identity is None else identity.name)
    if name is None:
        raise click.UsageError(
            f"The camera {teacher.camera} has no recipe whose name can be reused; give --name."
        )
    version = request.version or (1 if identity is None else identity.version + 1)
    out = request.out
    if out is None:
        folder = station.station.recipes or (teacher.recipe or request.station).parent
        out = folder / f"{name}-{version}{SUFFIX}"
    return _Target(out, name, version)


def _normal_frames(
    request: AgainRequest, teacher: Teacher, out: Path, screening: Screening
) -> FrameStore:
    """The normal frames in the new recipe's own folder, from which it can be learned again."""
    folder = out.with_suffix(FRAMES_SUFFIX)
    source = teacher.frames_folder if request.images is None else Path(request.images)
    camera = None if source is None or source.suffix != FRAMES_SUFFIX else stored_camera(source)
    if camera is not None and source is not None:
        if source.resolve() != folder.resolve():
            link_frames(source, folder)
        store = FrameStore(folder, camera)
        store.view_by(view_of(teacher.setup.camera))
        for frame in store:
            screening.takes(frame)
        if len(store):
            return store
    if request.images is None:
        where = "" if source is None else f" in {source}"
        raise SemedgeError(
            f"The normal frames that the camera {teacher.camera} learned from are not{where}; give "
            "normal frames with --images PATH."
        )
    with open_camera(request.images, settings=view_of_files(teacher.setup.camera)) as opened:
        store = FrameStore(folder, opened.source)
        collect(opened, store, screening, None, None, 0.0)
        return store


def _lesson_request(request: AgainRequest, teacher: Teacher, rate_hz: float) -> LessonRequest:
    """How to learn: as before, where nothing else was given."""
    lesson = replace(request.lesson, frame_rate_hz=rate_hz)
    if not request.guarantee_given:
        guarantee = guarantee_of_calibration(teacher.setup.calibration)
        lesson = replace(lesson, guarantee=guarantee)
    speed = _speed_of(teacher.setup.detector.bundle.manifest)
    if not request.speed_given and speed is not None:
        lesson = replace(lesson, options=replace(lesson.options, speed=speed))
    return lesson


def _speed_of(manifest: Manifest) -> Any:
    """The speed that the detector was learned with; None where `learn` did not make it."""
    schedule = manifest.training.schedule
    return schedule if schedule in MAGNIFICATIONS else None


def _write(target: _Target, teacher: Teacher, learned: Relearned) -> None:
    recipe = None if teacher.recipe is None else read_recipe(teacher.recipe).manifest
    count = len(learned.lesson.learned.false_alarms)
    target.out.parent.mkdir(parents=True, exist_ok=True)
    make_recipe(
        target.out,
        target.name,
        learned.lesson.bundle_content,
        learned.lesson.calibration.to_json().encode(),
        version=target.version,
        note=f"Learned again with {count} false alarms of the camera {teacher.camera}.",
        decision=decision_without_levels(teacher.setup.decision),
        camera=_camera_settings(teacher, None if recipe is None else recipe.camera),
    )
    decision = teacher.setup.decision
    if decision.alarm is not None or decision.warn is not None:
        logger.info(
            "The levels of the previous recipe are not copied, since they are scores of its "
            "detector; the new recipe alarms above its own threshold."
        )


def _camera_settings(teacher: Teacher, of_recipe: CameraSettings | None) -> CameraSettings:
    """Those of the recipe before, but with the regions that were drawn on the page."""
    camera = teacher.setup.camera
    if of_recipe is None:
        return view_of_files(camera)
    if not isinstance(camera, SourceChoice) or camera.undrawn_px is None:
        return of_recipe
    return of_recipe.model_copy(update={"leave_out_px": camera.settings.leave_out_px})


def _report(learned: Relearned, teacher: Teacher) -> None:
    """Log how the new recipe judges the marked frames."""
    if learned.left_out:
        logger.warning(
            f"{len(learned.left_out)} false alarms were not learned from: "
            f"{named(learned.left_out)}.",
            extra={"event": "marks-left-out"},
        )
    for sentence in _sentences(tallies(learned.judged)):
        logger.info(sentence)
    lost = [
        each
        for each in learned.judged
        if each.kept.mark != "false-alarm" and each.alarmed_before and not each.alarmed_after
    ]
    if lost:
        logger.warning(
            f"No longer found: {_names(lost)}. Look at these frames before you use the recipe.",
            extra={"event": "marks-lost"},
        )
    still = [each for each in learned.judged if each.kept.mark == "false-alarm"]
    if still := [each for each in still if each.alarmed_after]:
        logger.info(f"False alarms that still alarm: {_names(still)}.")


def _sentences(found: Mapping[MarkName, Tally]) -> list[str]:
    """How the marked frames were judged before and are judged now, one sentence for each mark."""
    sentences = []
    if alarms := found.get("false-alarm"):
        gone = alarms.before - alarms.after
        sentences.append(
            f"False alarms: {alarms.before} of {alarms.frames} alarmed before, {alarms.after} do "
            f"now ({gone} fewer). They were fitted to, so this says little about new ones."
        )
    others: tuple[tuple[MarkName, str], ...] = (
        ("real", "Real alerts"),
        ("missed", "Missed defects"),
    )
    for mark, what in others:
        if tally := found.get(mark):
            sentences.append(
                f"{what}: {tally.before} of {tally.frames} were found before, {tally.after} are "
                "now. They were not learned from."
            )
    return sentences


def _names(judged: Sequence[Judged]) -> str:
    names = ", ".join(each.kept.frame_id for each in judged[:NAMES_SHOWN])
    rest = len(judged) - NAMES_SHOWN
    return f"{names} and {rest} more" if rest > 0 else names


def _document(learned: Relearned) -> dict[str, Any]:
    return {
        "counts": {mark: vars(tally) for mark, tally in tallies(learned.judged).items()},
        "frames": [
            {
                "frame": each.kept.frame_id,
                "event_id": each.kept.event_id,
                "mark": each.kept.mark,
                "before": each.before,
                "after": each.after,
                "alarmed_before": each.alarmed_before,
                "alarmed_after": each.alarmed_after,
                "fitted": each.fitted,
            }
            for each in learned.judged
        ],
        "left_out": [vars(each) for each in learned.left_out],
    }


def _next(request: AgainRequest, station: Station, target: _Target) -> str:
    """The command that lets the station inspect by the new recipe."""
    camera = "" if request.camera is None else f" --camera {request.camera}"
    recipes = station.station.recipes
    sign = ""
    if station.station.public_key is not None:
        sign = f"Sign it first: semedge recipe sign {target.out} --key FILE. "
    if recipes is not None and target.out.parent.resolve() == recipes.resolve():
        return (
            f"{sign}Next: semedge recipe use {target.out.stem} --station {request.station}{camera}"
        )
    return (
        f"{sign}Next: name it in {request.station} as the recipe{camera and ' of the camera'}, and "
        "restart or reload the station."
    )
