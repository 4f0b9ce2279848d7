"""Every event and its deliveries, in an SQLite file that survives a kill at any moment."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType

from semedge.clock import utc_text
from semedge.errors import SemedgeError
from semedge.event import Event
from semedge.journal_schema import APPLICATION_ID, MIGRATIONS, migrate, schema_version

BUSY_TIMEOUT_S = 10.0

REMEDY = {
    "opened": "choose a file in a folder that can be written",
    "read": "move it away to start a new one, or choose another file",
    "written": "free some space, or choose another file",
}


@dataclass(frozen=True)
class Counters:
    """What a run has counted so far.

    Attributes
    ----------
    frames_seen
        Frames that the camera produced: inspected, skipped and lost.
    frames_inspected
        Frames scored.
    frames_skipped
        Files that could not be decoded.
    frames_lost
        Frames passed over because newer ones were there.
    alerts
        Defects that reached the alarm level.
    frames_warned, frames_alarmed
        Frames that scored above the warn level, and above the alarm level.
    """

    frames_seen: int = 0
    frames_inspected: int = 0
    frames_skipped: int = 0
    frames_lost: int = 0
    alerts: int = 0
    frames_warned: int = 0
    frames_alarmed: int = 0


@dataclass(frozen=True)
class JournalCounts:
    """How much a journal holds: runs, events, and deliveries still to be made or refused."""

    runs: int
    events: int
    pending: int
    rejected: int


@dataclass(frozen=True)
class Run:
    """A camera's time in one process, as the journal keeps it."""

    run_id: int
    camera: str


class Journal:
    """The journal at `path`, made where it is absent; usable from several threads.

    Parameters
    ----------
    path
        An SQLite file. One that is damaged, of another program, or of a newer semedge is refused
        with `SemedgeError`, and left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._failure("opened", error) from error
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def start_run(
        self,
        camera: str,
        source: str,
        detector_sha256: str,
        threshold: float,
        *,
        calibration_sha256: str | None = None,
        recipe_sha256: str | None = None,
    ) -> Run:
        """Begin a run of the camera with this name; its counters belong to it."""
        with self._transaction() as connection:
            run_id = connection.execute(
                "INSERT INTO runs (started_at, camera, source, detector_sha256, threshold,"
                " calibration_sha256, recipe_sha256) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    utc_text(time.time()),
                    camera,
                    _storable(source),
                    detector_sha256,
                    threshold,
                    calibration_sha256,
                    recipe_sha256,
                ),
            ).lastrowid
        assert run_id is not None
        return Run(run_id, camera)

    def count(self, run: Run, counters: Counters, *, ended: bool = False) -> None:
        """Store the run's counters, and with `ended` that the run is over."""
        names = [field.name for field in fields(counters)]
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE runs SET {', '.join(f'{name} = ?' for name in names)}, ended_at = ?"
                " WHERE run_id = ?",
                (
                    *(getattr(counters, name) for name in names),
                    utc_text(time.time()) if ended else None,
                    run.run_id,
                ),
            )

    def add_event(self, event: Event, sinks: Iterable[str], run: Run | None = None) -> Event:
        """Store an event, to be delivered to each of `sinks`; on return it is on the disk.

        Returns the event with its number.
        """
        with self._transaction() as connection:
            number = connection.execute(
                "INSERT INTO events (event_id, run_id, kind, phase, code, level, camera, raised_at,"
                " document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
                (
                    event.event_id,
                    None if run is None else run.run_id,
                    event.kind,
                    event.phase,
                    event.code,
                    event.level,
                    event.camera,
                    utc_text(event.raised_at_s),
                ),
            ).lastrowid
            assert number is not None
            numbered = replace(event, number=number)
            connection.execute(
                "UPDATE events SET document = ? WHERE number = ?",
                (json.dumps(numbered.to_document(), allow_nan=False), number),
            )
            connection.executemany(
                "INSERT INTO deliveries (number, sink) VALUES (?, ?)",
                [(number, sink) for sink in sinks],
            )
        return numbered

    def pending(self, sink: str, limit: int) -> list[Event]:
        """At most `limit` events not yet delivered to `sink`, oldest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT document FROM deliveries JOIN events USING (number) WHERE sink = ?"
                " AND delivered_at IS NULL AND rejected_at IS NULL ORDER BY number LIMIT ?",
                (sink, limit),
            ).fetchall()
            return [Event.from_document(json.loads(document)) for (document,) in rows]

    def pending_counts(self) -> dict[str, int]:
        """Events that wait, by sink."""
        with self._reading() as connection:
            return dict(
                connection.execute(
                    "SELECT sink, count(*) FROM deliveries"
                    " WHERE delivered_at IS NULL AND rejected_at IS NULL GROUP BY sink"
                ).fetchall()
            )

    def mark_delivered(self, event: Event, sink: str) -> None:
        """Record that `sink` took the event."""
        self._mark(event, sink, "delivered_at = ?, last_error = NULL", utc_text(time.time()))

    def mark_failed(self, event: Event, sink: str, reason: str) -> None:
        """Record that `sink` did not take the event, and why."""
        self._mark(event, sink, "last_error = ?", _storable(reason))

    def mark_rejected(self, event: Event, sink: str, reason: str) -> None:
        """Record that `sink` will never take the event, and why."""
        changes = "rejected_at = ?, last_error = ?"
        self._mark(event, sink, changes, utc_text(time.time()), _storable(reason))

    def _mark(self, event: Event, sink: str, changes: str, *values: str) -> None:
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE deliveries SET attempts = attempts + 1, {changes}"
                " WHERE number = ? AND sink = ?",
                (*values, event.number, sink),
            )

    def counts(self) -> JournalCounts:
        """How much the journal holds."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM events),"
                " (SELECT count(*) FROM deliveries"
                " WHERE delivered_at IS NULL AND rejected_at IS NULL),"
                " (SELECT count(*) FROM deliveries WHERE rejected_at IS NOT NULL)"
            ).fetchone()
        return JournalCounts(*row)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        with self._reading() as connection:
            self._check_ours(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        with self._transaction() as connection:
            migrate(connection)

    def _check_ours(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id != APPLICATION_ID and (application_id or objects):
            raise SemedgeError(
                f"The journal {self.path} is a database of another program; choose another file."
            )
        version = schema_version(connection)
        if version > len(MIGRATIONS):
            raise SemedgeError(
                f"The journal {self.path} has version {version}, and this semedge knows versions "
                f"up to {len(MIGRATIONS)}; update semedge, or choose another file."
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._failure("read", sqlite3.DatabaseError(verdict))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
                raise self._failure("read", error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    raise self._failure("written", error) from error
                raise

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The first error says what is wrong; SQLite undoes the rest when the file is reopened.
            pass

    def _failure(self, verb: str, error: Exception) -> SemedgeError:
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = str(error).splitlines()[0]
        return SemedgeError(
            f"The journal {self.path} could not be {verb} ({reason}); {REMEDY[verb]}."
        )


def _storable(text: str) -> str:
    """`text` as SQLite can hold it: bytes of a file name that are not UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
