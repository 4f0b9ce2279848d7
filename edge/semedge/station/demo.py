"""The demo: calibrates, watches a simulated line, and compares the alerts with the truth."""

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
from semedge.decision.calibrate import calibrate_detector
from semedge.decision.calibration_file import save_calibration
from semedge.decision.calibration_request import CalibrationRequest
from semedge.decision.defect import DecisionSettings, Levels
from semedge.inference.detector import Detector
from semedge.inference.overlay import encode_png
from semedge.journal.journal import Journal
from semedge.station.camera_setup import CameraSetup, SourceChoice, StationCamera
from semedge.station.summary import WatchSummary
from semedge.station.watch import Watch, WatchSettings
from semedge_calibration import Calibration

logger = logging.getLogger(__name__)

CALIBRATION_SEED = 3001
LINE_SEED = 3002
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
class DemoResult:
    """The results of the demo."""

    calibration: Calibration
    summary: WatchSummary
    frames: tuple[JudgedFrame, ...]

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
    collector = AlertCollector()
    line = SimulatedLine(LINE_SEED, shape=SHAPE, defect_rate=DEFECT_RATE)
    with Journal(folder / "journal.sqlite") as journal:
        setup = CameraSetup(
            SourceChoice(_camera(LINE_SEED, frames=frames, defects=DEFECT_RATE)),
            detector,
            calibration,
            Levels(calibration.threshold),
            FRAME_BY_FRAME,
        )
        watched = StationCamera("demo", setup)
        watch = Watch([watched], journal, [collector], WatchSettings(pictures=folder))
        summary = watch.run()
    truths = [line.frame(sequence) for sequence in range(frames)]
    judged = tuple(
        _judge(sequence, truth, collector.alerts.get(sequence))
        for sequence, truth in enumerate(truths)
    )
    _write_overview(folder / "overview.png", truths, judged)
    return DemoResult(calibration, summary, judged)


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
    return lines


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
