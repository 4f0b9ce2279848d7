"""The whole path on a simulated line: calibrate, watch, and compare the alerts with the truth."""

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
from semedge.core.console import progress
from semedge.core.event import Event
from semedge.core.files import write_atomically
from semedge.decision.calibrate import CalibrationRequest, calibrate_detector
from semedge.decision.calibration_file import save_calibration
from semedge.decision.defect import DecisionSettings, Levels
from semedge.inference.detector import Detector
from semedge.inference.overlay import encode_png
from semedge.journal.journal import Journal
from semedge.station.camera_setup import Line, Setup, SourceChoice
from semedge.station.watch import Watch, WatchSettings, WatchSummary
from semedge_calibration import Calibration

logger = logging.getLogger(__name__)

CALIBRATION_SEED = 3001
LINE_SEED = 3002
DEFECT_RATE = 0.25
SHAPE = (256, 320)
EVERY_FRAME_BY_ITSELF = DecisionSettings(end_after_frames=0)
"""Neighbouring frames of the simulated line show different places."""
TOLERANCE_PX = 16
"""How far from a defect the peak of the heat map may lie: half a patch."""
SHEET_COLUMNS = 4
SHEET_WIDTH_PX = 320
MASK_BGR = (60, 60, 255)
PEAK_BGR = (80, 255, 80)
LABEL_BGR = (255, 255, 255)


@dataclass(frozen=True)
class Outcome:
    """One inspected frame: what was there, and what was raised.

    Attributes
    ----------
    sequence
        Number of the frame.
    planted
        Kind of the planted defect, None in a normal frame.
    alert
        The alert that the frame raised, if any.
    located
        Whether the alert's peak lies on the defect.
    """

    sequence: int
    planted: str | None
    alert: Event | None
    located: bool

    @property
    def verdict(self) -> str:
        """raised, missed, invented or passed."""
        if self.planted is None:
            return "passed" if self.alert is None else "invented"
        return "missed" if self.alert is None else "raised"


class Collected:
    """A sink that keeps the alerts of the demo."""

    name = "demo"

    def __init__(self) -> None:
        self.alerts: dict[int, Event] = {}

    def deliver(self, event: Event) -> None:
        """Keep the alert by the number of its frame."""
        if event.phase == "start" and event.sequence is not None:
            self.alerts[event.sequence] = event

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class DemoResult:
    """Everything that the demo found out."""

    calibration: Calibration
    summary: WatchSummary
    outcomes: tuple[Outcome, ...]

    def count(self, verdict: str, kind: str | None = None) -> int:
        """Frames with a verdict, of one kind of defect where given."""
        return sum(
            outcome.verdict == verdict and (kind is None or outcome.planted == kind)
            for outcome in self.outcomes
        )

    @property
    def precision(self) -> float | None:
        """Share of the alerts that were right; None without alerts."""
        alerts = self.count("raised") + self.count("invented")
        return self.count("raised") / alerts if alerts else None

    @property
    def recall(self) -> float | None:
        """Share of the planted defects that were raised; None without defects."""
        planted = self.count("raised") + self.count("missed")
        return self.count("raised") / planted if planted else None


def run_demo(
    detector: Detector, folder: Path, *, calibration_frames: int, frames: int
) -> DemoResult:
    """Calibrate on simulated normal frames, watch a simulated line, and judge the alerts.

    Writes `calibration.json`, the journal, the pictures of the alerts and `overview.png`.
    """
    source = _camera(CALIBRATION_SEED, frames=calibration_frames)
    with open_camera(source) as camera:
        normal = progress(camera, "Scoring normal frames")
        calibration = calibrate_detector(detector, normal, CalibrationRequest())
    logger.info(calibration.guarantee)
    save_calibration(folder / "calibration.json", calibration)
    collected = Collected()
    line = SimulatedLine(LINE_SEED, shape=SHAPE, defect_rate=DEFECT_RATE)
    with Journal(folder / "journal.sqlite") as journal:
        setup = Setup(
            SourceChoice(_camera(LINE_SEED, frames=frames, defects=DEFECT_RATE)),
            detector,
            calibration,
            Levels(calibration.threshold),
            EVERY_FRAME_BY_ITSELF,
        )
        watch = Watch([Line("demo", setup)], journal, [collected], WatchSettings(pictures=folder))
        summary = watch.run()
    truths = [line.frame(sequence) for sequence in range(frames)]
    outcomes = tuple(
        _judge(sequence, truth, collected.alerts.get(sequence))
        for sequence, truth in enumerate(truths)
    )
    _write_overview(folder / "overview.png", truths, outcomes)
    return DemoResult(calibration, summary, outcomes)


def describe(result: DemoResult) -> list[str]:
    """The result as lines for people."""
    lines = ["kind    planted  raised  missed"]
    for kind in KINDS:
        raised, missed = result.count("raised", kind), result.count("missed", kind)
        lines.append(f"{kind:7} {raised + missed:7} {raised:7} {missed:7}")
    located = sum(outcome.located for outcome in result.outcomes)
    normal = result.count("invented") + result.count("passed")
    lines.append(
        f"{result.count('raised')} raised ({located} with the peak of the heat map on the defect), "
        f"{result.count('missed')} missed, {result.count('invented')} invented on {normal} normal "
        "frames"
    )
    lines.append(f"precision {_share(result.precision)}, recall {_share(result.recall)}")
    for verdict in ("missed", "invented"):
        names = [
            f"{outcome.sequence} ({outcome.planted or 'normal'})"
            for outcome in result.outcomes
            if outcome.verdict == verdict
        ]
        if names:
            lines.append(f"{verdict}: frames {', '.join(names)}")
    return lines


def _camera(seed: int, *, frames: int, defects: float = 0.0) -> str:
    height, width = SHAPE
    return f"sim:{seed}?size={width}x{height}&frames={frames}&defects={defects}"


def _judge(sequence: int, truth: SimulatedFrame, alert: Event | None) -> Outcome:
    planted = truth.defects[0].kind if truth.mask.any() else None
    located = False
    if alert is not None and alert.peak_px is not None and planted is not None:
        x, y = alert.peak_px
        top, left = max(0, y - TOLERANCE_PX), max(0, x - TOLERANCE_PX)
        located = bool(truth.mask[top : y + TOLERANCE_PX, left : x + TOLERANCE_PX].any())
    return Outcome(sequence, planted, alert, located)


def _write_overview(
    path: Path, truths: Sequence[SimulatedFrame], outcomes: Sequence[Outcome]
) -> None:
    """One picture of every frame that was raised, missed or invented."""
    tiles = [
        _tile(truth, outcome)
        for truth, outcome in zip(truths, outcomes, strict=True)
        if outcome.verdict != "passed"
    ]
    if not tiles:
        return
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    rows = [
        np.concatenate(tiles[start : start + SHEET_COLUMNS], axis=1)
        for start in range(0, len(tiles), SHEET_COLUMNS)
    ]
    write_atomically(path, encode_png(np.concatenate(rows)))


def _tile(truth: SimulatedFrame, outcome: Outcome) -> NDArray[np.uint8]:
    """A frame with the defect outlined in red, the alert's peak in green, and the verdict."""
    picture = cv2.cvtColor(truth.image, cv2.COLOR_GRAY2BGR)
    outline, _ = cv2.findContours(
        truth.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    cv2.drawContours(picture, outline, -1, MASK_BGR, 2)
    if outcome.alert is not None and outcome.alert.peak_px is not None:
        x, y = outcome.alert.peak_px
        half = TOLERANCE_PX
        cv2.rectangle(picture, (x - half, y - half), (x + half, y + half), PEAK_BGR, 2)
    height = round(picture.shape[0] * SHEET_WIDTH_PX / picture.shape[1])
    tile = cv2.resize(picture, (SHEET_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    label = f"{outcome.sequence}: {outcome.planted or 'normal'}, {outcome.verdict}"
    cv2.rectangle(tile, (0, 0), (SHEET_WIDTH_PX, 18), (0, 0, 0), -1)
    cv2.putText(tile, label, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, LABEL_BGR, 1, cv2.LINE_AA)
    return tile.astype(np.uint8)


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
