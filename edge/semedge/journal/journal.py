"""Every event and its deliveries, in an SQLite file that survives a kill at any moment."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.timing import utc_text
from semedge.journal.database import Database, UnwritableError, insert_audit, no_event, storable
from semedge.journal.records import Counters, JournalCounts, ScoreRow, WatchRun
from semedge.journal.write_buffer import BufferedEvent, DiskReserve, Mark, WriteBuffer

TRY_DISK_EVERY_S = 1.0
"""Pause between two attempts to write to a disk that cannot be written; each may take long."""


ENDED = "ended"
"""Name of the setting with the last event's number, where the last watch ended by itself."""

MOST_FORGOTTEN = 1_000
"""Events of removed sinks that are forgotten in one transaction."""


class Journal(Database):
    """The journal at `path`, created where it is absent; usable from several threads.

    While the disk cannot be written, events are buffered in memory, delivered from there, and
    written as soon as they can be; any other write raises `UnwritableError`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        found = self.path.stat()
        self._identity = (found.st_dev, found.st_ino)
        self._pending_lock = threading.Lock()
        self._buffer = WriteBuffer()
        self._try_disk_at_s = 0.0
        self._reserve = DiskReserve(self.path.with_name(f"{self.path.name}-reserve"))
        self._reserve.take()
        self._pending: Counter[str] = Counter()
        self._data_version = -1
        self.recount_pending()
        with self.reading() as connection:
            self._last_number: int = _last_number(connection)

    def begin_watch(self) -> bool:
        """Record that a watch has begun; whether the last one ended by itself.

        An event that was added since, or a watch that was killed, makes the end an unclean one.
        """
        with self._lock:
            clean = bool(self.setting("", ENDED) == self._last_number)
            self.save_setting("", ENDED, None)
            return clean

    def end_watch(self) -> None:
        """Record that the watch ended by itself."""
        with self._lock:
            self.save_setting("", ENDED, self._last_number)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is written to is still the one at `path`."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def start_run(
        self,
        camera: str,
        source: str,
        detector_sha256: str,
        threshold: float,
        *,
        calibration_sha256: str | None = None,
        recipe_sha256: str | None = None,
        score_origin: float | None = None,
        score_unit: float | None = None,
    ) -> WatchRun:
        """Begin a run of the camera with this name, which has its own counters.

        `score_origin + score_unit * score` is the raw score of each of its frames.
        """
        with self.transaction() as connection:
            run_id = connection.execute(
                "INSERT INTO runs (started_at, camera, source, detector_sha256, threshold,"
                " calibration_sha256, recipe_sha256, score_origin, score_unit)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    utc_text(time.time()),
                    camera,
                    storable(source),
                    detector_sha256,
                    threshold,
                    calibration_sha256,
                    recipe_sha256,
                    score_origin,
                    score_unit,
                ),
            ).lastrowid
        assert run_id is not None
        return WatchRun(run_id, camera)

    def count(self, run: WatchRun, counters: Counters, *, ended: bool = False) -> None:
        """Store the run's counters, and with `ended` that the run is over."""
        names = [field.name for field in fields(counters)]
        with self.transaction() as connection:
            connection.execute(
                f"UPDATE runs SET {', '.join(f'{name} = ?' for name in names)}, ended_at = ?"
                " WHERE run_id = ?",
                (
                    *(getattr(counters, name) for name in names),
                    utc_text(time.time()) if ended else None,
                    run.run_id,
                ),
            )

    def add_event(self, event: Event, sinks: Iterable[str], run: WatchRun | None = None) -> Event:
        """Store an event, to be delivered to each of `sinks`; the event with its number.

        On return it is on the disk, or buffered in memory where the disk cannot be written.
        """
        run_id, names = None if run is None else run.run_id, list(sinks)
        with self._lock:
            if not self._buffer or time.monotonic() >= self._try_disk_at_s:
                try:
                    self.flush_buffer()
                    return self._insert(event, run_id, names)
                except UnwritableError:
                    if self._reserve.release():
                        return self.add_event(event, names, run)
                    self._try_disk_at_s = time.monotonic() + TRY_DISK_EVERY_S
            self._last_number += 1
            numbered = replace(event, number=self._last_number)
            dropped = self._buffer.add(numbered, run_id, names)
            with self._pending_lock:
                self._pending.update(names)
                self._pending.subtract(dropped)
            return numbered

    @property
    def has_buffered(self) -> bool:
        """Whether something is buffered in memory that is not on the disk."""
        return bool(self._buffer)

    def flush_buffer(self) -> None:
        """Write what is buffered in memory; `UnwritableError` while the disk cannot be written."""
        with self._lock:
            if not self._buffer:
                return
            with self.transaction() as connection:
                for buffered in self._buffer.events.values():
                    _insert_buffered(connection, buffered)
                for (number, sink), mark in self._buffer.marks.items():
                    _update_delivery(connection, number, sink, mark)
            self._buffer.clear()
            self._reserve.take()

    def pending(self, sink: str, limit: int) -> list[Event]:
        """At most `limit` events not yet delivered to `sink`, oldest first."""
        with self._lock:
            buffered = self._buffer.waiting_for(sink)
            try:
                stored = self._pending_stored(sink, limit)
            except SemedgeError:
                if not buffered:
                    raise
                stored = []
            return [*stored, *buffered][:limit]

    def pending_counts(self) -> dict[str, int]:
        """Number of pending events, by sink, from memory."""
        with self._pending_lock:
            return {sink: count for sink, count in self._pending.items() if count > 0}

    def recount_pending(self) -> None:
        """Count the pending events again, where another process has changed the journal."""
        with self._lock, self.reading() as connection:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version == self._data_version:
                return
            self._data_version = version
            counts = Counter(
                dict(
                    connection.execute(
                        "SELECT sink, count(*) FROM deliveries"
                        " WHERE delivered_at IS NULL AND rejected_at IS NULL GROUP BY sink"
                    ).fetchall()
                )
            )
            for buffered in self._buffer.events.values():
                counts.update(buffered.waiting)
            counts.subtract(sink for (_, sink), mark in self._buffer.marks.items() if mark.settles)
            with self._pending_lock:
                self._pending = counts

    def forget_sinks_but(self, sinks: Collection[str], before_s: float) -> None:
        """Reject events raised before a time that are pending for none of `sinks`.

        They are those of sinks that are no longer in the station file.
        """
        known = ", ".join("?" * len(sinks))
        with self.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET rejected_at = ?, last_error = ? WHERE rowid IN"
                " (SELECT deliveries.rowid FROM deliveries JOIN events USING (number)"
                " WHERE delivered_at IS NULL AND rejected_at IS NULL"
                f" AND sink NOT IN ({known}) AND raised_at < ? LIMIT {MOST_FORGOTTEN})",
                (
                    utc_text(time.time()),
                    "the sink is no longer in the station file",
                    *sinks,
                    utc_text(max(0.0, before_s)),
                ),
            )
        self._data_version = -1
        self.recount_pending()

    def mark_delivered(self, event: Event, sink: str) -> None:
        """Record that `sink` accepted the event."""
        self._mark(event.number, sink, Mark(delivered_at=utc_text(time.time())))

    def mark_failed(self, event: Event, sink: str, reason: str) -> None:
        """Record that an attempt to deliver the event to `sink` failed, and why."""
        self._mark(event.number, sink, Mark(last_error=storable(reason)))

    def mark_rejected(self, event: Event, sink: str, reason: str) -> None:
        """Record that `sink` will never accept the event, and why."""
        mark = Mark(rejected_at=utc_text(time.time()), last_error=storable(reason))
        self._mark(event.number, sink, mark)

    def counts(self) -> JournalCounts:
        """Number of runs, events and deliveries in the journal."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM events),"
                " (SELECT count(*) FROM deliveries"
                " WHERE delivered_at IS NULL AND rejected_at IS NULL),"
                " (SELECT count(*) FROM deliveries WHERE rejected_at IS NOT NULL)"
            ).fetchone()
        return JournalCounts(*row)

    def unended_events(self) -> list[Event]:
        """The newest message of each event that a killed watch left without an end."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT document FROM events WHERE number IN"
                " (SELECT max(number) FROM events GROUP BY event_id) AND phase <> 'end'"
                " ORDER BY number"
            ).fetchall()
            return [Event.from_document(json.loads(document)) for (document,) in rows]

    def add_scores(self, rows: Sequence[ScoreRow]) -> None:
        """Store scores for the history."""
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO scores (run_id, captured_at, sequence, frames, score, level)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        row.run.run_id,
                        utc_text(row.captured_at_s),
                        row.sequence,
                        row.frames,
                        row.score,
                        row.level,
                    )
                    for row in rows
                ],
            )

    def add_audit(self, who: str, camera: str, action: str, before: Any, after: Any) -> None:
        """Record who changed what; `before` and `after` are JSON values."""
        with self.transaction() as connection:
            insert_audit(connection, who, camera, action, before, after)

    def acknowledge(self, event_id: str, who: str) -> None:
        """Record that somebody has seen an event; only the first acknowledgement is stored."""
        with self.transaction() as connection:
            known = connection.execute(
                "SELECT count(*) FROM events WHERE event_id = ?", (event_id,)
            ).fetchone()[0]
            if not known:
                raise no_event(event_id)
            connection.execute(
                "INSERT OR IGNORE INTO acknowledgements (event_id, at, who) VALUES (?, ?, ?)",
                (event_id, utc_text(time.time()), storable(who)),
            )

    def setting(self, camera: str, name: str) -> Any:
        """The value that `save_setting` stored; None where there is none."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT value FROM settings WHERE camera = ? AND name = ?", (camera, name)
            ).fetchone()
            return None if row is None else json.loads(row[0])

    def save_setting(self, camera: str, name: str, value: Any) -> None:
        """Store a JSON value that must outlive the process; None deletes it."""
        with self.transaction() as connection:
            if value is None:
                connection.execute(
                    "DELETE FROM settings WHERE camera = ? AND name = ?", (camera, name)
                )
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO settings (camera, name, value) VALUES (?, ?, ?)",
                    (camera, name, json.dumps(value)),
                )

    def _insert(self, event: Event, run_id: int | None, sinks: list[str]) -> Event:
        """Store an event with the next number; another process may have stored the last one."""
        with self.transaction() as connection:
            number = max(self._last_number, _last_number(connection)) + 1
            numbered = replace(event, number=number)
            _insert_buffered(connection, BufferedEvent(numbered, run_id, sinks))
        self._last_number = number
        with self._pending_lock:
            self._pending.update(sinks)
        return numbered

    def _pending_stored(self, sink: str, limit: int) -> list[Event]:
        # Deliveries that are settled in memory alone are skipped here.
        more = sum(name == sink for _, name in self._buffer.marks)
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT document FROM deliveries JOIN events USING (number) WHERE sink = ?"
                " AND delivered_at IS NULL AND rejected_at IS NULL ORDER BY number LIMIT ?",
                (sink, limit + more),
            ).fetchall()
            events = [Event.from_document(json.loads(document)) for (document,) in rows]
        return [event for event in events if not self._buffer.is_settled(event.number, sink)]

    def _mark(self, number: int, sink: str, mark: Mark) -> None:
        with self._lock:
            if mark.settles:
                with self._pending_lock:
                    self._pending[sink] -= 1
            if number in self._buffer.events:
                self._buffer.mark(number, sink, mark)
                return
            try:
                with self.transaction() as connection:
                    _update_delivery(connection, number, sink, mark)
            except UnwritableError:
                self._buffer.mark(number, sink, mark)


def _last_number(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'")
    return int(row.fetchone()[0] or 0)


def _insert_buffered(connection: sqlite3.Connection, buffered: BufferedEvent) -> None:
    event = buffered.event
    if connection.execute("SELECT 1 FROM events WHERE number = ?", (event.number,)).fetchone():
        # Another process, such as `semedge test-alert`, has used the number.
        last = connection.execute("SELECT max(number) FROM events").fetchone()[0]
        event = replace(event, number=last + 1)
    connection.execute(
        "INSERT INTO events (number, event_id, run_id, kind, phase, code, level, camera,"
        " raised_at, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.number,
            event.event_id,
            buffered.run_id,
            event.kind,
            event.phase,
            event.code,
            event.level,
            event.camera,
            utc_text(event.raised_at_s),
            json.dumps(event.to_document(), allow_nan=False),
        ),
    )
    connection.executemany(
        "INSERT INTO deliveries (number, sink) VALUES (?, ?)",
        [(event.number, sink) for sink in (*buffered.waiting, *buffered.settled)],
    )
    for sink, mark in buffered.settled.items():
        _update_delivery(connection, event.number, sink, mark)


def _update_delivery(connection: sqlite3.Connection, number: int, sink: str, mark: Mark) -> None:
    connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, delivered_at = ?, rejected_at = ?,"
        " last_error = ? WHERE number = ? AND sink = ?",
        (mark.delivered_at, mark.rejected_at, mark.last_error, number, sink),
    )
