"""Events that are buffered in memory while the journal's disk cannot be written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from semedge.core.event import Event

MOST_EVENTS = 10_000
"""A few tens of megabytes; above it, the oldest that every sink has accepted are dropped first."""

RESERVE_BYTES = 1_048_576


@dataclass
class BufferedEvent:
    """An event that is not on the disk yet.

    Attributes
    ----------
    event
        The event with its number.
    run_id
        Identifier of the run that it belongs to.
    waiting
        Sinks that have not accepted it.
    settled
        Sinks that have, or never will, with the mark to record for each.
    """

    event: Event
    run_id: int | None
    waiting: list[str]
    settled: dict[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """Changes to record for a delivery: column names and their values."""

    delivered_at: str | None = None
    rejected_at: str | None = None
    last_error: str | None = None

    @property
    def settles(self) -> bool:
        """Whether the delivery needs no further attempt."""
        return self.delivered_at is not None or self.rejected_at is not None


class WriteBuffer:
    """Events and marks that are not on the disk yet, in order."""

    def __init__(self) -> None:
        self.events: dict[int, BufferedEvent] = {}
        self.marks: dict[tuple[int, str], Mark] = {}

    def __bool__(self) -> bool:
        return bool(self.events or self.marks)

    def add(self, event: Event, run_id: int | None, sinks: Iterable[str]) -> list[str]:
        """Buffer an event; the sinks that an event was pending for that made room for it."""
        self.events[event.number] = BufferedEvent(event, run_id, list(sinks))
        if len(self.events) <= MOST_EVENTS:
            return []
        done = (number for number, buffered in self.events.items() if not buffered.waiting)
        return self.events.pop(next(done, min(self.events))).waiting

    def mark(self, number: int, sink: str, mark: Mark) -> None:
        """Buffer a mark of a delivery."""
        buffered = self.events.get(number)
        if buffered is None:
            self.marks[number, sink] = mark
        elif mark.settles and sink in buffered.waiting:
            buffered.waiting.remove(sink)
            buffered.settled[sink] = mark

    def is_settled(self, number: int, sink: str) -> bool:
        """Whether the delivery is settled, though the disk has not recorded it."""
        mark = self.marks.get((number, sink))
        return mark is not None and mark.settles

    def waiting_for(self, sink: str) -> list[Event]:
        """Buffered events that the sink has not accepted."""
        return [buffered.event for buffered in self.events.values() if sink in buffered.waiting]

    def clear(self) -> None:
        """Drop everything, because it is on the disk."""
        self.events.clear()
        self.marks.clear()


class DiskReserve:
    """A file beside the journal that is deleted when the disk is full, to make room for events."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> None:
        """Reserve the space, where there is plenty."""
        with contextlib.suppress(OSError):
            if self._path.exists() or _free_bytes(self._path) < 4 * RESERVE_BYTES:
                return
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)

    def release(self) -> bool:
        """Release the space; whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


def _free_bytes(path: Path) -> int:
    found = os.statvfs(path.parent)
    return found.f_bavail * found.f_frsize
