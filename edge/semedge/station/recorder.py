"""Recording of events: in the journal, for delivery, and in the state of the station."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from semedge.core.event import Event, Kind, Level, Phase
from semedge.journal.journal import Journal
from semedge.journal.records import WatchRun
from semedge.sinks.delivery import Delivery
from semedge.state.state import StationState


class EventRecorder:
    """Stores events, wakes their delivery, and shows them; usable from every camera's thread.

    Parameters
    ----------
    station
        The station's name.
    journal, delivery
        The journal that stores events, and their delivery.
    state
        The state that shows them.

    Attributes
    ----------
    station
        The station's name, which its events carry.
    """

    def __init__(
        self, station: str, journal: Journal, delivery: Delivery, state: StationState
    ) -> None:
        self.station = station
        self._journal = journal
        self._delivery = delivery
        self._state = state

    def record(self, event: Event, run: WatchRun | None = None) -> Event:
        """Store an event, have it delivered, and show it; the event with its number."""
        numbered = self._journal.add_event(event, self._delivery.sink_names, run)
        self._delivery.wake()
        self._state.add_event(numbered)
        return numbered


class OngoingEvent:
    """An occurrence whose start and end are each reported once, such as a failing camera.

    Parameters
    ----------
    recorder
        Records the events.
    kind, code
        Kind and code of the events.
    camera
        Name of the camera; empty for the whole station.
    level
        Severity.
    """

    def __init__(
        self,
        recorder: EventRecorder,
        kind: Kind,
        code: str,
        camera: str = "",
        level: Level = "alarm",
    ) -> None:
        self._recorder = recorder
        self._kind, self._code, self._camera, self._level = kind, code, camera, level
        self._started: tuple[Event, float] | None = None

    @property
    def is_ongoing(self) -> bool:
        """Whether it has started and has not ended."""
        return self._started is not None

    def start(self, message: str, **details: Any) -> None:
        """Report the start, unless it has already started."""
        if self._started is not None:
            return
        event = new_event(
            self._recorder.station,
            self._kind,
            self._code,
            message,
            phase="start",
            camera=self._camera,
            level=self._level,
            details=details,
        )
        self._started = self._recorder.record(event), time.monotonic()

    def end(self, message: str, **details: Any) -> None:
        """Report the end, unless it has not started."""
        if self._started is None:
            return
        started, started_s = self._started
        self._started = None
        self._recorder.record(
            replace(
                started,
                phase="end",
                message=message,
                raised_at_s=time.time(),
                duration_s=time.monotonic() - started_s,
                details={**started.details, **details},
            )
        )


def new_event(
    station: str,
    kind: Kind,
    code: str,
    message: str,
    *,
    phase: Phase = "end",
    camera: str = "",
    level: Level | None = None,
    details: Mapping[str, Any] | None = None,
) -> Event:
    """An event with the current time; with the phase `end`, it has no other phase."""
    now_s = time.time()
    return Event(
        event_id=uuid.uuid4().hex,
        kind=kind,
        phase=phase,
        code=code,
        message=message,
        station=station,
        camera=camera,
        started_at_s=now_s,
        raised_at_s=now_s,
        level=level,
        details=details or {},
    )
