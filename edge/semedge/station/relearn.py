"""Learning again from a station: its normal frames, and the alerts that were marked as false."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage
from semedge.core.mark import NAMELESS
from semedge.core.timing import utc_seconds
from semedge.decision.calibration_request import CalibrationRequest
from semedge.decision.defect import DecisionSettings, Levels
from semedge.inference.bundle import frame_sha256, parse_bundle
from semedge.inference.detector import Detector
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.journal.query import Query
from semedge.journal.reader import JournalReader
from semedge.journal.records import DEFAULT_JOURNAL
from semedge.learning.false_alarms import FalseAlarm, places_above
from semedge.learning.frame_store import FrameStore
from semedge.learning.learn import Step
from semedge.learning.lesson import Lesson, LessonRequest, learn_lesson
from semedge.learning.screening import LeftOut, Screening
from semedge.station.camera_plan import CameraPlan, plan_cameras
from semedge.station.camera_setup import CameraSetup, view_of
from semedge.station.config.sections import DEFAULT_PICTURES
from semedge.station.config.station import Station
from semedge.station.load import load_setup
from semedge.station.marked_examples import Judged, MarkedExample, judge_marked
from semedge.station.overrides import load_with_overrides, overriding_recipe
from semedge_calibration import Calibration

FRAMES_SUFFIX = ".frames"
"""Ending of the folder of a recipe's normal frames, which lies beside the recipe."""

NEWEST_RUNS = 20
LEAST_FRAMES_OF_A_RUN = 50


@dataclass(frozen=True)
class Teacher:
    """A station's camera and its active setup.

    Attributes
    ----------
    camera
        The camera's name.
    setup
        What its frames are judged by; `close` closes its detector.
    recipe
        The recipe's file; None where the camera has none.
    marked
        The frames of this camera that were marked, the oldest first.
    """

    camera: str
    setup: CameraSetup
    recipe: Path | None
    marked: tuple[MarkedExample, ...]

    @property
    def frames_folder(self) -> Path | None:
        """Where `semedge learn` keeps the recipe's normal frames; None without a recipe."""
        return None if self.recipe is None else self.recipe.with_suffix(FRAMES_SUFFIX)

    def close(self) -> None:
        """Close the detector."""
        self.setup.detector.close()


@dataclass(frozen=True)
class Relearned:
    """What was learned from a station.

    Attributes
    ----------
    lesson
        The detector, its threshold, and what it proves.
    judged
        Every marked frame, before and after.
    left_out
        False alarms that were not fitted to, with the reasons.
    """

    lesson: Lesson
    judged: tuple[Judged, ...]
    left_out: tuple[LeftOut, ...]


def open_teacher(station: Station, camera: str | None, workers: int | None = None) -> Teacher:
    """The station's camera of this name, or its only one, with the setup that is active now.

    Raises `SemedgeError` where there is no such camera, where its setup cannot be loaded, or where
    none of its alerts is marked as a false alarm.
    """
    plan = _plan_of(station, camera)
    if workers is not None:
        plan = replace(plan, detector=plan.detector.model_copy(update={"workers": workers}))
    kept = MarkedFrames(station.journal.pictures or DEFAULT_PICTURES)
    marked = [each for each in kept.all() if each.camera in (plan.name, NAMELESS)]
    if not any(each.mark == "false-alarm" for each in marked):
        raise SemedgeError(
            f"No alert of the camera {plan.name} is marked as a false alarm, so there is nothing "
            "to learn from; mark some on the page, or with `semedge mark`."
        )
    setup, recipe = _active_setup(station, plan)
    view = view_of(setup.camera)
    examples = tuple(
        MarkedExample(each, picture, view)
        for each in marked
        if (picture := kept.picture(each.frame_id)) is not None
    )
    return Teacher(plan.name, setup, recipe, examples)


def frame_rate_hz(station: Station, camera: str) -> float | None:
    """Frames a second of the camera's newest run that is long enough; None where there is none."""
    path = station.journal.file or DEFAULT_JOURNAL
    if not path.exists():
        return None
    with JournalReader(path, check=False) as journal:
        runs = list(journal.rows(Query("runs", camera=camera, limit=NEWEST_RUNS)))
    for run in reversed(runs):
        if run["ended_at"] is None or run["frames_inspected"] < LEAST_FRAMES_OF_A_RUN:
            continue
        lasted_s = utc_seconds(run["ended_at"]) - utc_seconds(run["started_at"])
        if lasted_s > 0:
            return float(run["frames_inspected"] / lasted_s)
    return None


def guarantee_of_calibration(calibration: Calibration) -> CalibrationRequest:
    """What a calibration proves, as a request to prove it again."""
    fields = calibration.fields
    return CalibrationRequest(
        calibration.false_alarm_rate,
        calibration.confidence or CalibrationRequest.confidence,
        calibration.method,
        None if calibration.group_by is None else re.compile(calibration.group_by),
        calibration.group_every_s,
        None if fields is None else (fields[1], fields[0]),
    )


def decision_without_levels(decision: DecisionSettings) -> DecisionSettings:
    """The decision of a recipe without its levels, which are scores of the previous detector."""
    return decision.model_copy(update={"alarm": None, "warn": None})


def relearn(
    teacher: Teacher,
    store: FrameStore,
    request: LessonRequest,
    screening: Screening,
    step: Step = lambda stage: None,
) -> Relearned:
    """Fit and calibrate again, with the false alarms among the frames that are fitted to.

    Parameters
    ----------
    teacher
        The station's camera, its setup and its marked frames.
    store
        Normal frames that were not chosen by their scores.
    request
        As for `learn_lesson`, without false alarms; where `fit_frames` is None, the threshold is
        set by the frames that set it before, if the store has them.
    screening, step
        As for `learn_lesson`.

    Raises
    ------
    SemedgeError
        As `learn_lesson` does, and where no false alarm can be learned from.
    """
    setup = teacher.setup
    digests = [frame_sha256(frame.image) for frame in store]
    alarms, left_out = _false_alarms(teacher, store[0].shape, set(digests))
    if not alarms:
        reasons = "; ".join(f"{each.source} {each.reason}" for each in left_out[:3])
        raise SemedgeError(
            f"None of the false alarms can be learned from ({reasons}); mark others, or give "
            "normal frames of this camera with --images."
        )
    fit_frames = request.fit_frames or _fitted_before(digests, setup.detector.trained_on)
    options = request.options.settled(setup.detector.bundle.manifest.training.options)
    lesson = learn_lesson(
        store,
        replace(request, options=options, false_alarms=alarms, fit_frames=fit_frames),
        screening,
        step,
    )
    bundle = parse_bundle(lesson.bundle_content, "the learned detector")
    levels = Levels(lesson.calibration.threshold)
    with Detector(bundle, workers=request.workers) as detector:
        judged = tuple(
            judge_marked(each, setup, detector, levels, lesson.learned.false_alarms)
            for each in teacher.marked
        )
    skipped = (
        LeftOut(each.name, "was left out, since more alarmed than there are normal frames")
        for each in alarms
        if each.name not in lesson.learned.false_alarms
    )
    return Relearned(lesson, judged, (*left_out, *skipped))


def _plan_of(station: Station, camera: str | None) -> CameraPlan:
    plans = {plan.name: plan for plan in plan_cameras(station)}
    if camera is None and len(plans) == 1:
        return next(iter(plans.values()))
    if camera not in plans:
        raise SemedgeError(
            f"The station has the cameras {', '.join(plans)}; name one of them with --camera. "
            f"Received: {camera or 'none'}."
        )
    return plans[camera]


def _active_setup(station: Station, plan: CameraPlan) -> tuple[CameraSetup, Path | None]:
    """The setup that the camera is inspected with, and its recipe: an override or the file's."""
    path = station.journal.file or DEFAULT_JOURNAL
    if not path.exists():
        return load_setup(plan), plan.recipe
    with Journal(path) as journal:
        setup = load_with_overrides(journal, plan)
        return setup, overriding_recipe(journal, plan.name, setup) or plan.recipe


def _false_alarms(
    teacher: Teacher, shape: tuple[int, int], known: set[str]
) -> tuple[list[FalseAlarm], list[LeftOut]]:
    """The false alarms that can be fitted to, and the others with the reasons."""
    setup = teacher.setup
    alarms, left_out = [], []
    for each in teacher.marked:
        if each.kept.mark != "false-alarm":
            continue
        name = each.kept.frame_id
        try:
            frame = each.frame()
            if frame.shape != shape:
                raise SemedgeError(
                    f"has {frame.shape[1]}x{frame.shape[0]} px, where the normal frames have "
                    f"{shape[1]}x{shape[0]} px"
                )
            if frame_sha256(frame.image) in known:
                raise SemedgeError("is among the normal frames already")
            places = places_above(setup.detector.score(frame), setup.levels.lowest)
        except SemedgeError as error:
            left_out.append(LeftOut(name, str(error)))
            continue
        alarms.append(FalseAlarm(name, partial(_picture_of, each), places))
    return alarms, left_out


def _picture_of(example: MarkedExample) -> AnyImage:
    return example.frame().picture


def _fitted_before(digests: Sequence[str], trained_on: Sequence[str]) -> int | None:
    """Frames from the first to the last that the previous detector was fitted to; None for none."""
    known = set(trained_on)
    last = max((at for at, digest in enumerate(digests) if digest in known), default=None)
    return None if last is None or last + 1 == len(digests) else last + 1
