"""Safe mode: a station that cannot load its cameras says so, and tries again."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from semedge.core.backoff import Backoff
from semedge.core.errors import SemedgeError
from semedge.core.parts import reason_of
from semedge.core.view import Rectangle
from semedge.decision.defect import Levels
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.sinks.base import Sink
from semedge.sinks.delivery import Delivery
from semedge.state.requests import MarkRequest
from semedge.state.state import StationState
from semedge.station.connections import Connections
from semedge.station.control import audit_refusal
from semedge.station.marking import Marker
from semedge.station.recorder import EventRecorder, OngoingEvent
from semedge.station.signals import SignalPipe
from semedge.station.systemd import Heartbeat

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 60.0
ITERATION_S = 0.5

T = TypeVar("T")


class SafeMode:
    """The page and the sinks of a station that has no camera to inspect.

    Parameters
    ----------
    station
        The station's name.
    cameras
        Names of the cameras that could not be loaded.
    journal
        Stores the event, and acknowledgements.
    sinks
        Receivers of the event, which are closed at the end.
    connections
        The page and the two-way sinks; opened and closed here.
    marked
        Keeps the frames of alerts that are marked.
    """

    def __init__(
        self,
        station: str,
        cameras: Sequence[str],
        journal: Journal,
        sinks: Sequence[Sink],
        connections: Connections,
        marked: MarkedFrames,
    ) -> None:
        self.state = StationState(station, cameras)
        self._journal = journal
        self._delivery = Delivery(journal, sinks, self.state.parts)
        self.state.connect(self._delivery.states, journal.pending_counts)
        recorder = EventRecorder(station, journal, self._delivery, self.state)
        self._event = OngoingEvent(recorder, "health", "safe-mode")
        self._connections = connections
        self._marked = marked
        self._signals = SignalPipe()
        self._heartbeat = Heartbeat()

    def wait(self, error: SemedgeError, load: Callable[[], T]) -> T | None:
        """Try `load` again with growing pauses, and on SIGHUP; its result, or None on SIGTERM.

        Parameters
        ----------
        error
            Why the cameras could not be loaded at first.
        load
            Loads them again; raises `SemedgeError` where it cannot.
        """
        self._show(error)
        logger.error(f"Safe mode: {error}", extra={"event": "safe-mode"})
        # Before the page opens: whoever sees it may end the station.
        with self._signals:
            try:
                self._connections.open(self.state, _Refusal(self._journal, self._marked))
                self._heartbeat.start()
                self._delivery.start()
                self._event.start(f"The station inspects nothing: {error}")
                try:
                    return self._try_again(load)
                finally:
                    self._connections.stop()
                    self._delivery.close()
            finally:
                self._connections.close()
                self._heartbeat.close()

    def _try_again(self, load: Callable[[], T]) -> T | None:
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        due_s = time.monotonic() + backoff.next_s()
        while True:
            signals = self._signals.wait(ITERATION_S)
            if signals & {signal.SIGINT, signal.SIGTERM}:
                self._heartbeat.stopping()
                return None
            self._heartbeat.beat(0.0, self.state.snapshot())
            if time.monotonic() < due_s and signal.SIGHUP not in signals:
                continue
            try:
                loaded = load()
            except Exception as error:
                self._show(error)
                due_s = time.monotonic() + backoff.next_s()
            else:
                self._event.end("The cameras could be loaded; the station inspects again.")
                return loaded

    def _show(self, error: Exception) -> None:
        for camera in self.state.snapshot().cameras:
            self.state.change(camera, activity="stopped", reason=f"safe mode: {reason_of(error)}")


class _Refusal:
    """`Control` of a station that inspects nothing: events can be acknowledged and marked."""

    def __init__(self, journal: Journal, marked: MarkedFrames) -> None:
        self._journal = journal
        self._marker = Marker(journal, marked)

    def set_levels(self, camera: str, levels: Levels, who: str) -> None:
        """Refuse."""
        raise _refused()

    def set_regions(self, camera: str, rectangles: tuple[Rectangle, ...], who: str) -> float | None:
        """Refuse."""
        raise _refused()

    def switch_recipe(self, camera: str, path: Path, who: str) -> None:
        """Refuse."""
        raise _refused()

    def recipes(self) -> list[Path]:
        """None that could be switched to."""
        return []

    def acknowledge(self, event_id: str, who: str) -> None:
        """Record that somebody has seen the event."""
        self._journal.acknowledge(event_id, who)

    def mark(self, request: MarkRequest, who: str) -> str:
        """Mark an alert, and keep its frame; a sentence about the result."""
        return self._marker.mark(request, who)

    def reload(self, who: str) -> None:
        """Refuse."""
        raise _refused()

    def audit_refusal(self, who: str) -> None:
        """Record a request that was refused for its wrong token."""
        audit_refusal(self._journal, who)


def _refused() -> SemedgeError:
    return SemedgeError(
        "The station is in safe mode, because its cameras could not be loaded; correct the station "
        "file, and send SIGHUP."
    )
