"""The demo: learns a simulated material, watches its line, and compares alerts with the truth."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.cameras import open_camera
from semedge.cameras.simulation import KINDS, SimulatedFrame, SimulatedLine
from semedge.core.console import shown_progress
from semedge.core.event import Event
from semedge.core.files import write_atomically
from semedge.core.mark import GivenMark
from semedge.core.view import WHOLE
from semedge.decision.calibration_request import CalibrationRequest
from semedge.decision.defect import DecisionSettings, Levels
from semedge.inference.bundle import parse_bundle
from semedge.inference.detector import Detector
from semedge.inference.overlay import encode_png
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.learning.collect import CollectPlan, collect_frames
from semedge.learning.frame_store import FrameStore
from semedge.learning.lesson import Lesson, LessonRequest, learn_lesson
from semedge.learning.options import LearnOptions
from semedge.learning.screening import Screening
from semedge.state.requests import MarkRequest
from semedge.station.camera_setup import CameraSetup, SourceChoice, StationCamera
from semedge.station.marked_examples import Judged, MarkedExample, Tally, tallies
from semedge.station.marking import Marker
from semedge.station.recipe import make_recipe
from semedge.station.relearn import Teacher, relearn
from semedge.station.summary import WatchSummary
from semedge.station.watch import Watch, WatchSettings

logger = logging.getLogger(__name__)

CAMERA = "demo"
NORMAL_SEED = 3001
LINE_SEED = 3002
OPTIONS = LearnOptions(even_light="off")
"""The simulated light is even and stays so, and a film differs from fibres by its brightness."""
HARMLESS = "speck"
"""The kind of defect that somebody finds harmless once."""
DEFECT_RATE = 0.25
SHAPE = (256, 320)
FRAME_BY_FRAME = DecisionSettings(end_after_frames=0)
"""Neighbouring frames of the simulated line show different places."""
TOLERANCE_PX = 16
"""Largest distance of the heat map's peak from a defect: half a patch."""
OVERVIEW_COLUMNS = 4
TILE_WIDTH_PX = 320
MASK_BGR = (60, 60, 255)
PEAK_BGR = (80, 255, 80)
LABEL_BGR = (255, 255, 255)


@dataclass(frozen=True)
class JudgedFrame:
    """One inspected frame: the planted defect, and the alert that it raised.

    Attributes
    ----------
    sequence
        Number of the frame.
    planted
        Kind of the planted defect, None in a normal frame.
    alert
        The alert that the frame raised; None where it raised none.
    located
        Whether the alert's peak lies on the defect.
    """

    sequence: int
    planted: str | None
    alert: Event | None
    located: bool

    @property
    def verdict(self) -> str:
        """The result: raised, missed, false alarm or passed."""
        if self.planted is None:
            return "passed" if self.alert is None else "false alarm"
        return "missed" if self.alert is None else "raised"


class AlertCollector:
    """A sink that collects the alerts of the demo."""

    name = "demo"

    def __init__(self) -> None:
        self.alerts: dict[int, Event] = {}

    def deliver(self, event: Event) -> None:
        """Collect the alert by the number of its frame."""
        if event.phase == "start" and event.sequence is not None:
            self.alerts[event.sequence] = event

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


@dataclass(frozen=True)
class LearnedAgain:
    """What marking a false alarm and learning again did.

    Attributes
    ----------
    alarm
        The alert that was marked as a false alarm, before and after.
    real
        Alerts that were marked as real: how many there are, and how many are found before and
        after.
    """

    alarm: Judged
    real: Tally


@dataclass(frozen=True)
class DemoResult:
    """The results of the demo."""

    lesson: Lesson
    summary: WatchSummary
    frames: tuple[JudgedFrame, ...]
    again: LearnedAgain | None

    def count(self, verdict: str, kind: str | None = None) -> int:
        """Number of frames with a verdict, for one kind of defect where given."""
        return sum(
            frame.verdict == verdict and (kind is None or frame.planted == kind)
            for frame in self.frames
        )

    @property
    def precision(self) -> float | None:
        """Share of the alerts that were right; None without alerts."""
        alerts = self.count("raised") + self.count("false alarm")
        return self.count("raised") / alerts if alerts else None

    @property
    def recall(self) -> float | None:
        """Share of the planted defects that raised an alert; None without defects."""
        planted = self.count("raised") + self.count("missed")
        return self.count("raised") / planted if planted else None


def run_demo(folder: Path, *, normal_frames: int, frames: int) -> DemoResult:
    """Learn a simulated material, watch its line, judge the alerts, and learn from a false one.

    Writes the normal frames, the recipe, the journal, the pictures of the alerts and
    `overview.png`.
    """
    store = FrameStore(folder / "normal", "sim:demo")
    screening = Screening()
    _collect(store, screening, normal_frames)
    request = LessonRequest(CalibrationRequest(), OPTIONS)
    with shown_progress() as show:
        lesson = learn_lesson(store, request, screening, lambda stage: show(stage, None))
    logger.info(lesson.calibration.guarantee)
    make_recipe(
        folder / "demo.recipe",
        "demo",
        lesson.bundle_content,
        lesson.calibration.to_json().encode(),
    )
    bundle = parse_bundle(lesson.bundle_content, "the learned detector")
    with Detector(bundle) as detector, Journal(folder / "journal.sqlite") as journal:
        setup = CameraSetup(
            SourceChoice(_camera(LINE_SEED, frames=frames, defects=DEFECT_RATE)),
            detector,
            lesson.calibration,
            Levels(lesson.calibration.threshold),
            FRAME_BY_FRAME,
        )
        collector = AlertCollector()
        watched = StationCamera(CAMERA, setup)
        watch = Watch([watched], journal, [collector], WatchSettings(pictures=folder))
        summary = watch.run()
        line = SimulatedLine(LINE_SEED, shape=SHAPE, defect_rate=DEFECT_RATE)
        truths = [line.frame(sequence) for sequence in range(frames)]
        judged = tuple(
            _judge(sequence, truth, collector.alerts.get(sequence))
            for sequence, truth in enumerate(truths)
        )
        _write_overview(folder / "overview.png", truths, judged)
        marked = _mark(folder, journal, judged)
        again = None if not marked else _learn_again(setup, marked, store, screening)
    return DemoResult(lesson, summary, judged, again)


def _collect(store: FrameStore, screening: Screening, count: int) -> None:
    with open_camera(_camera(NORMAL_SEED, frames=count)) as camera, shown_progress() as show:
        collect_frames(
            camera, store, CollectPlan(count), screening, lambda: show("Collecting", count)
        )


def _mark(folder: Path, journal: Journal, judged: Sequence[JudgedFrame]) -> list[MarkedExample]:
    """Mark the weakest alert of a speck as a false alarm, and those of other kinds as real."""
    alerts = [(each.planted, each.alert) for each in judged if each.alert is not None]
    harmless = [alert for planted, alert in alerts if planted == HARMLESS]
    if not harmless:
        return []
    false = min(harmless, key=lambda alert: alert.frame_score or 0)
    marked = MarkedFrames(folder)
    marker = Marker(journal, marked)
    for planted, alert in alerts:
        if alert is false or planted not in (None, HARMLESS):
            mark: GivenMark = "false-alarm" if alert is false else "real"
            request = MarkRequest(action="mark", event_id=alert.event_id, mark=mark)
            marker.mark(request, CAMERA)
    return [
        MarkedExample(each, picture, WHOLE)
        for each in marked.all()
        if (picture := marked.picture(each.frame_id)) is not None
    ]


def _learn_again(
    setup: CameraSetup,
    marked: Sequence[MarkedExample],
    store: FrameStore,
    screening: Screening,
) -> LearnedAgain:
    """Learn again with the false alarm among the normal frames."""
    teacher = Teacher(CAMERA, setup, None, tuple(marked))
    request = LessonRequest(CalibrationRequest(), OPTIONS)
    with shown_progress() as show:
        learned = relearn(teacher, store, request, screening, lambda stage: show(stage, None))
    alarm = next(each for each in learned.judged if each.kept.mark == "false-alarm")
    return LearnedAgain(alarm, tallies(learned.judged).get("real", Tally(0, 0, 0)))


def describe(result: DemoResult) -> list[str]:
    """The result as lines for people."""
    lines = ["kind    planted  raised  missed"]
    for kind in KINDS:
        raised, missed = result.count("raised", kind), result.count("missed", kind)
        lines.append(f"{kind:7} {raised + missed:7} {raised:7} {missed:7}")
    located = sum(frame.located for frame in result.frames)
    false_alarms = result.count("false alarm")
    normal = false_alarms + result.count("passed")
    lines.append(
        f"{result.count('raised')} raised ({located} with the peak of the heat map on the defect), "
        f"{result.count('missed')} missed, {false_alarms} false "
        f"alarm{'' if false_alarms == 1 else 's'} on {normal} normal frames"
    )
    lines.append(f"precision {_share(result.precision)}, recall {_share(result.recall)}")
    for verdict in ("missed", "false alarm"):
        names = [
            f"{frame.sequence} ({frame.planted or 'normal'})"
            for frame in result.frames
            if frame.verdict == verdict
        ]
        if names:
            lines.append(f"{verdict}: frames {', '.join(names)}")
    return [*lines, *_describe_again(result.again)]


def _describe_again(again: LearnedAgain | None) -> list[str]:
    if again is None:
        return []
    alarm, real = again.alarm, again.real
    result = "still raises an alert" if alarm.alarmed_after else "raises no alert any more"
    return [
        f"Then a person marks the alert of frame {alarm.kept.sequence} as a false alarm, because a "
        "speck as faint as that does no harm, and the material is learned again: the frame "
        f"{result} (score {_score(alarm.before)} before, {_score(alarm.after)} after), and "
        f"{real.after} of the {real.frames} alerts that are marked as real are still found."
    ]


def _score(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.0f}"


def _camera(seed: int, *, frames: int, defects: float = 0.0) -> str:
    height, width = SHAPE
    return f"sim:{seed}?size={width}x{height}&frames={frames}&defects={defects}"


def _judge(sequence: int, truth: SimulatedFrame, alert: Event | None) -> JudgedFrame:
    planted = truth.defects[0].kind if truth.mask.any() else None
    located = False
    if alert is not None and alert.peak_px is not None and planted is not None:
        x, y = alert.peak_px
        top, left = max(0, y - TOLERANCE_PX), max(0, x - TOLERANCE_PX)
        located = bool(truth.mask[top : y + TOLERANCE_PX, left : x + TOLERANCE_PX].any())
    return JudgedFrame(sequence, planted, alert, located)


def _write_overview(
    path: Path, truths: Sequence[SimulatedFrame], judged: Sequence[JudgedFrame]
) -> None:
    """Write one picture of all frames that raised an alert or should have."""
    tiles = [
        _tile(truth, frame)
        for truth, frame in zip(truths, judged, strict=True)
        if frame.verdict != "passed"
    ]
    if not tiles:
        return
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % OVERVIEW_COLUMNS)
    rows = [
        np.concatenate(tiles[start : start + OVERVIEW_COLUMNS], axis=1)
        for start in range(0, len(tiles), OVERVIEW_COLUMNS)
    ]
    write_atomically(path, encode_png(np.concatenate(rows)))


def _tile(truth: SimulatedFrame, frame: JudgedFrame) -> NDArray[np.uint8]:
    """A frame with the defect outlined in red, the alert's peak in green, and the verdict."""
    picture = cv2.cvtColor(truth.image, cv2.COLOR_GRAY2BGR)
    outline, _ = cv2.findContours(
        truth.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    cv2.drawContours(picture, outline, -1, MASK_BGR, 2)
    if frame.alert is not None and frame.alert.peak_px is not None:
        x, y = frame.alert.peak_px
        half = TOLERANCE_PX
        cv2.rectangle(picture, (x - half, y - half), (x + half, y + half), PEAK_BGR, 2)
    height = round(picture.shape[0] * TILE_WIDTH_PX / picture.shape[1])
    tile = cv2.resize(picture, (TILE_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    label = f"{frame.sequence}: {frame.planted or 'normal'}, {frame.verdict}"
    cv2.rectangle(tile, (0, 0), (TILE_WIDTH_PX, 18), (0, 0, 0), -1)
    cv2.putText(tile, label, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, LABEL_BGR, 1, cv2.LINE_AA)
    return tile.astype(np.uint8)


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
