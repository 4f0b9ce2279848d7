"""The state of a running station, for its page, metrics, MQTT, OPC UA and Modbus."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.parts import Parts
from semedge.journal.records import Counters
from semedge.state.recent_frames import RecentFrames
from semedge.state.snapshot import (
    ActiveSetup,
    Activity,
    AlarmRate,
    CameraState,
    DiskState,
    Inspected,
    ScorePoint,
    SinkState,
    StationSnapshot,
)

MAX_SCORES = 2_000
MAX_EVENTS = 100
MAX_LATENCIES = 1_000
MAX_MINUTES = 60


class StationState:
    """The state that the cameras' loops write and everything else reads; thread-safe.

    Parameters
    ----------
    name
        The station's name.
    cameras
        Names of the cameras.
    recent
        Holds the last frames; by default a ring of the default size.

    Attributes
    ----------
    parts
        The parts of the station that run in threads, and their faults.
    """

    def __init__(
        self, name: str, cameras: Iterable[str], recent: RecentFrames | None = None
    ) -> None:
        self.name = name
        self.recent = RecentFrames() if recent is None else recent
        self.parts = Parts()
        self._changed = threading.Condition()
        self._version = 0
        self._started_at_s = time.time()
        self._started_s = time.monotonic()
        self._qualified = True
        self._disk = DiskState()
        self._cameras = {name: _LiveCamera(name) for name in cameras}
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._sinks: Callable[[], tuple[SinkState, ...]] = tuple
        self._pending: Callable[[], Mapping[str, int]] = dict
        self._listeners: list[Callable[[], None]] = []

    def inspected(self, camera: str, last: Inspected, counters: Counters) -> None:
        """Store a frame that was inspected."""
        with self._changing():
            self._cameras[camera].inspected(last, counters)
            setup = self._cameras[camera].active_setup
        self.recent.add(camera, last, setup)

    def change(self, camera: str, **changes: Any) -> None:
        """Replace fields of a camera's state by name; a new activity begins now."""
        with self._changing():
            self._cameras[camera].change(changes)

    def activity(self, camera: str) -> Activity:
        """What a camera does now."""
        with self._changed:
            return self._cameras[camera].activity

    def add_event(self, event: Event) -> None:
        """Store an event, and call the listeners."""
        with self._changing():
            self._events.append(event)
            if event.kind == "defect" and event.camera in self._cameras:
                ongoing = None if event.phase == "end" else event
                self._cameras[event.camera].change({"defect": ongoing})
        for listener in self._listeners:
            listener()

    def on_event(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each event, in the thread that adds it: it must return at once."""
        self._listeners.append(listener)

    def change_station(
        self, *, qualified: bool | None = None, disk: DiskState | None = None
    ) -> None:
        """Replace the values that are given."""
        with self._changing():
            self._qualified = self._qualified if qualified is None else qualified
            self._disk = self._disk if disk is None else disk

    def connect(
        self,
        sinks: Callable[[], tuple[SinkState, ...]],
        pending: Callable[[], Mapping[str, int]],
    ) -> None:
        """Set where a snapshot reads the state and the number of deliveries."""
        self._sinks, self._pending = sinks, pending

    def snapshot(self) -> StationSnapshot:
        """The station as it is now."""
        sinks, pending = self._sinks(), self._pending_or_none()
        with self._changed:
            return StationSnapshot(
                version=self._version,
                name=self.name,
                started_at_s=self._started_at_s,
                uptime_s=time.monotonic() - self._started_s,
                qualified=self._qualified,
                cameras={name: camera.snapshot() for name, camera in self._cameras.items()},
                events=tuple(self._events),
                sinks=sinks,
                pending=pending,
                disk=self._disk,
                faults=self.parts.faults(),
            )

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait for another version, at most `timeout_s`; the version then."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout_s)
            return self._version

    def _pending_or_none(self) -> Mapping[str, int]:
        try:
            return self._pending()
        except SemedgeError:
            # A journal that cannot be read is reported by its writers.
            return {}

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Lock the state while it changes, and wake the threads that wait for a change."""
        with self._changed:
            yield
            self._version += 1
            self._changed.notify_all()


class _LiveCamera:
    """The mutable state of a camera."""

    def __init__(self, name: str) -> None:
        self._state = CameraState(name, since_s=time.time())
        self._scores: deque[ScorePoint] = deque(maxlen=MAX_SCORES)
        self._frames = 0
        self._latencies_ms: dict[str, deque[float]] = {}
        self._minutes: deque[tuple[int, int, int]] = deque(maxlen=MAX_MINUTES)
        self._first_s: float | None = None

    @property
    def activity(self) -> Activity:
        return self._state.activity

    @property
    def active_setup(self) -> ActiveSetup | None:
        return self._state.active_setup

    def change(self, changes: Mapping[str, Any]) -> None:
        since_s = self._state.since_s
        if changes.get("activity", self._state.activity) != self._state.activity:
            since_s = time.time()
        self._state = replace(self._state, **{"since_s": since_s, **changes})

    def inspected(self, last: Inspected, counters: Counters) -> None:
        frame = last.frame
        self._frames += 1
        score = last.score_map.frame_score
        self._scores.append(
            ScorePoint(self._frames, frame.captured_at_s, frame.sequence, score, last.level)
        )
        for stage, spent_ms in last.latency_ms.items():
            latest_ms = self._latencies_ms.setdefault(stage, deque(maxlen=MAX_LATENCIES))
            latest_ms.append(spent_ms)
        self._count(last.level == "alarm")
        self._state = replace(self._state, last=last, counters=counters)

    def snapshot(self) -> CameraState:
        frame_rate_hz = self._frame_rate_hz()
        return replace(
            self._state,
            scores=tuple(self._scores),
            latency_ms={stage: _quantiles(each) for stage, each in self._latencies_ms.items()},
            frame_rate_hz=frame_rate_hz,
            alarms=self._alarms(frame_rate_hz),
        )

    def _count(self, alarmed: bool) -> None:
        """Count a frame in the minute that it belongs to, by the monotonic clock."""
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
        minute = int(now_s // 60)
        if self._minutes and self._minutes[-1][0] == minute:
            _, frames, alarms = self._minutes.pop()
        else:
            frames, alarms = 0, 0
        self._minutes.append((minute, frames + 1, alarms + alarmed))

    def _recent(self, minutes: int) -> list[tuple[int, int, int]]:
        oldest = int(time.monotonic() // 60) - minutes
        return [entry for entry in self._minutes if entry[0] > oldest]

    def _frame_rate_hz(self) -> float:
        """Frame rate over the current minute and the four before it."""
        if self._first_s is None:
            return 0.0
        now_s = time.monotonic()
        from_s = max(self._first_s, (now_s // 60 - 4) * 60)
        frames = sum(frames for _, frames, _ in self._recent(5))
        return frames / max(now_s - from_s, 1.0)

    def _areas(self) -> float:
        """Areas that the guarantee counts in the last frame: one, or several fields."""
        last, active_setup = self._state.last, self._state.active_setup
        if last is None or active_setup is None or active_setup.calibrated_patches is None:
            return 1.0
        return max(1.0, len(last.score_map.grid) / active_setup.calibrated_patches)

    def _alarms(self, frame_rate_hz: float) -> AlarmRate:
        hour = self._recent(MAX_MINUTES)
        active_setup = self._state.active_setup
        rate = None if active_setup is None else active_setup.guaranteed_rate
        expected = None
        if active_setup is not None and rate is not None:
            # The rate is of areas and of groups of frames, of which the largest may alarm.
            share = min(1.0, rate * self._areas() * active_setup.largest_group)
            expected = share * frame_rate_hz * 3600
        return AlarmRate(expected, sum(entry[2] for entry in hour), sum(entry[1] for entry in hour))


def _quantiles(latencies_ms: Iterable[float]) -> tuple[float, float]:
    """Median and 95 % quantile."""
    median, high = np.quantile(list(latencies_ms), (0.5, 0.95))
    return float(median), float(high)
