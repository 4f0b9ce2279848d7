"""Snapshots of a station's state, for its page, metrics, MQTT, OPC UA and Modbus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from semedge.core.event import Event, Level
from semedge.core.frame import Frame
from semedge.core.view import WHOLE, Rectangle, ViewSettings
from semedge.decision.defect import Levels
from semedge.inference.score_map import ScoreMap
from semedge.journal.records import Counters

Activity = Literal["starting", "inspecting", "not inspecting", "stopped"]

NOTHING_COUNTED = Counters()

ONLY_CAMERA = "camera"
"""Name of the camera of a station that has one."""

OUT_OF_REACH = 100.0
"""Multiples of the threshold's size by which an alarm level above it is out of reach."""


def is_out_of_reach(alarm: float, threshold: float) -> bool:
    """Whether an alarm level lies so far above a threshold that hardly a defect can reach it."""
    return alarm > threshold + OUT_OF_REACH * max(abs(threshold), 1.0)


def camera_label(name: str) -> str:
    """A camera in a sentence: `camera left`, or `the camera` where the station has only one."""
    return "the camera" if name == ONLY_CAMERA else f"camera {name}"


@dataclass(frozen=True, slots=True)
class ScorePoint:
    """One frame of the score's history; times in seconds since the Unix epoch.

    `number` counts the frames that the camera's state has seen, from 1 and without gaps.
    """

    number: int
    captured_at_s: float
    sequence: int
    score: float
    level: Level | None


@dataclass(frozen=True)
class Inspected:
    """The last inspected frame.

    Attributes
    ----------
    frame, score_map
        The frame, and its scores.
    level
        Level that it reached.
    latency_ms
        Time of each stage, and `total` from the frame's arrival to the end of its recording.
    event_id
        The defect that the frame belongs to; None where it belongs to none.
    view
        What of the frame was inspected.
    """

    frame: Frame
    score_map: ScoreMap
    level: Level | None
    latency_ms: Mapping[str, float]
    event_id: str | None = None
    view: ViewSettings = WHOLE


@dataclass(frozen=True)
class ActiveSetup:
    """The setup that a camera's frames are judged by.

    Attributes
    ----------
    detector_sha256, calibration_sha256
        Digests of the detector and of the calibration.
    levels
        The active levels.
    threshold
        The calibration's own threshold.
    guarantee
        Guarantee of the calibration, as a sentence.
    false_alarm_rate
        Largest share of normal frames that alarm, by the guarantee.
    calibrated_patches
        Patches of the areas that the guarantee counts, which a larger frame has several of.
    recipe, recipe_version, recipe_sha256
        Name, version and digest of the recipe; None where none is in use.
    detector
        Name of the detector's method, such as `pretrained-features`; empty where it is not known.
    largest_group
        Frames of the calibration's largest group, as a multiple of the mean group's.
    leave_out_px
        Rectangles that are not inspected: left, top, width and height of each in the whole frame.
    is_drawn
        Whether people have drawn these in place of those of the station file or the recipe.
    reach_px
        How near to what is left out a place is not judged either.
    """

    detector_sha256: str
    calibration_sha256: str
    levels: Levels
    threshold: float
    guarantee: str
    false_alarm_rate: float
    recipe: str | None = None
    recipe_version: int | None = None
    recipe_sha256: str | None = None
    calibrated_patches: int | None = None
    detector: str = ""
    largest_group: float = 1.0
    leave_out_px: tuple[Rectangle, ...] = ()
    is_drawn: bool = False
    reach_px: int = 0

    @property
    def is_out_of_reach(self) -> bool:
        """Whether hardly any defect can reach the alarm level."""
        return is_out_of_reach(self.levels.alarm, self.threshold)

    @property
    def guaranteed_rate(self) -> float | None:
        """Share of normal frames that may alarm; None where the level is below the threshold."""
        return self.false_alarm_rate if self.levels.alarm >= self.threshold else None

    def to_document(self) -> dict[str, Any]:
        """The document that identifies a setup in the journal."""
        drawn = {"leave_out_px": [list(each) for each in self.leave_out_px]}
        return {
            "detector_sha256": self.detector_sha256,
            "calibration_sha256": self.calibration_sha256,
            "recipe": self.recipe,
            "recipe_version": self.recipe_version,
            "recipe_sha256": self.recipe_sha256,
            "alarm": self.levels.alarm,
            "warn": self.levels.warn,
            **(drawn if self.is_drawn else {}),
        }


@dataclass(frozen=True)
class AlarmRate:
    """Frames above the alarm level.

    Attributes
    ----------
    expected_per_hour
        Most false alarms an hour that the calibration allows at the frame rate of the last
        minutes; None where nothing is guaranteed, because the alarm level is below the threshold.
    seen_last_hour
        Frames above the alarm level in the last hour.
    frames_last_hour
        Frames inspected in the last hour.
    """

    expected_per_hour: float | None
    seen_last_hour: int
    frames_last_hour: int


@dataclass(frozen=True)
class CameraState:
    """One camera at the time of the snapshot.

    Attributes
    ----------
    name, source
        Its name in the station file, and where its frames come from.
    activity, reason
        What it does, and the reason where it does not inspect; else empty.
    since_s
        Start of the activity, seconds since the Unix epoch.
    counters
        Frames and alerts since the start.
    active_setup
        What its frames are judged by; None before it is known.
    last
        The last inspected frame.
    defect
        The newest event of the ongoing defect; None where there is none.
    scores
        History of the scores, oldest first.
    latency_ms
        Median and 95 % quantile by stage, over the last frames.
    frame_rate_hz
        Frames inspected a second, over the last minutes.
    alarms
        Expected and counted alarms.
    drift
        p-values of the last window of frames, by test.
    """

    name: str
    source: str = ""
    activity: Activity = "starting"
    reason: str = ""
    since_s: float = 0.0
    counters: Counters = NOTHING_COUNTED
    active_setup: ActiveSetup | None = None
    last: Inspected | None = None
    defect: Event | None = None
    scores: tuple[ScorePoint, ...] = ()
    latency_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    frame_rate_hz: float = 0.0
    alarms: AlarmRate = AlarmRate(None, 0, 0)
    drift: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SinkState:
    """State of the deliveries to a sink.

    Attributes
    ----------
    name
        The sink's name.
    delivered, rejected
        Events that it accepted, and that it rejected for good, since the start.
    failures
        Failed attempts since the last event that it accepted.
    last_error
        Reason of the failure of the last attempt; None where it succeeded.
    waiting_s
        Duration of the current delivery so far; 0 where there is none.
    """

    name: str
    delivered: int = 0
    rejected: int = 0
    failures: int = 0
    last_error: str | None = None
    waiting_s: float = 0.0


@dataclass(frozen=True)
class DiskState:
    """Free space on the journal's disk, and what is not stored for lack of it."""

    free_bytes: int | None = None
    pictures_stopped: bool = False
    scores_stopped: bool = False


@dataclass(frozen=True)
class StationSnapshot:
    """The whole station at one moment; immutable.

    Attributes
    ----------
    version
        Number that rises with every change.
    name
        The station's name.
    started_at_s
        Start of the watch, seconds since the Unix epoch.
    uptime_s
        Time since the start, by the monotonic clock.
    qualified
        Whether every camera may judge: False until it has passed its challenge set, where that is
        required.
    cameras
        The cameras by name, in the order of the station file.
    events
        The newest events, newest last.
    sinks
        State of the deliveries to each sink.
    pending
        Number of pending events, by sink.
    disk
        Space for pictures and scores.
    faults
        The reason of each part of the station that failed, ended or hangs, by its name.
    """

    version: int
    name: str
    started_at_s: float
    uptime_s: float
    qualified: bool
    cameras: Mapping[str, CameraState]
    events: tuple[Event, ...]
    sinks: tuple[SinkState, ...]
    pending: Mapping[str, int]
    disk: DiskState
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def inspecting(self) -> bool:
        """Whether every camera inspects."""
        return all(camera.activity == "inspecting" for camera in self.cameras.values())
