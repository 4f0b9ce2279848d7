"""Every alert and its deliveries, in an SQLite file that survives a kill at any moment."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from semedge.alert import Alert, utc_text
from semedge.errors import SemedgeError

APPLICATION_ID = 0x53454D45
"""Marks the file as ours (`SEME`), so that no other program's database is written to."""

BUSY_TIMEOUT_S = 10.0

REMEDY = {
    "opened": "choose a file in a folder that can be written",
    "read": "move it away to start a new one, or choose another file",
    "written": "free some space, or choose another file",
}

MIGRATIONS = (
    """
    CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        camera TEXT NOT NULL,
        detector_sha256 TEXT NOT NULL,
        threshold REAL NOT NULL,
        frames_seen INTEGER NOT NULL DEFAULT 0,
        frames_inspected INTEGER NOT NULL DEFAULT 0,
        frames_skipped INTEGER NOT NULL DEFAULT 0,
        frames_lost INTEGER NOT NULL DEFAULT 0,
        alerts INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE alerts (
        alert_id INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL UNIQUE,
        run_id INTEGER REFERENCES runs,
        sequence INTEGER NOT NULL,
        source TEXT NOT NULL,
        captured_at TEXT NOT NULL,
        raised_at TEXT NOT NULL,
        frame_score REAL NOT NULL,
        threshold REAL NOT NULL,
        event TEXT NOT NULL
    );
    CREATE INDEX alerts_by_time ON alerts (captured_at);
    CREATE TABLE deliveries (
        alert_id INTEGER NOT NULL REFERENCES alerts,
        sink TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        delivered_at TEXT,
        last_error TEXT,
        PRIMARY KEY (alert_id, sink)
    );
    CREATE INDEX deliveries_pending ON deliveries (sink, attempts, alert_id)
        WHERE delivered_at IS NULL
    """,
)
"""Script `n` takes a journal from version `n` to `n + 1`; a script, once released, stays as is."""


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
        Alerts raised.
    """

    frames_seen: int = 0
    frames_inspected: int = 0
    frames_skipped: int = 0
    frames_lost: int = 0
    alerts: int = 0


@dataclass(frozen=True)
class JournalCounts:
    """How much a journal holds: runs, alerts, and deliveries not yet made."""

    runs: int
    alerts: int
    pending: int


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
        self._run_id: int | None = None
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

    def start_run(self, camera: str, detector_sha256: str, threshold: float) -> None:
        """Begin a run; alerts and counters belong to it from now on."""
        with self._transaction() as connection:
            self._run_id = connection.execute(
                "INSERT INTO runs (started_at, camera, detector_sha256, threshold)"
                " VALUES (?, ?, ?, ?)",
                (utc_text(time.time()), _storable(camera), detector_sha256, threshold),
            ).lastrowid

    def count(self, counters: Counters, *, ended: bool = False) -> None:
        """Store the run's counters, and with `ended` that the run is over."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE runs SET frames_seen = ?, frames_inspected = ?, frames_skipped = ?,"
                " frames_lost = ?, alerts = ?, ended_at = ? WHERE run_id = ?",
                (
                    counters.frames_seen,
                    counters.frames_inspected,
                    counters.frames_skipped,
                    counters.frames_lost,
                    counters.alerts,
                    utc_text(time.time()) if ended else None,
                    self._run_id,
                ),
            )

    def add_alert(self, alert: Alert, sinks: Iterable[str]) -> None:
        """Store an alert, to be delivered to each of `sinks`; on return it is on the disk."""
        event = alert.to_dict()
        with self._transaction() as connection:
            alert_id = connection.execute(
                "INSERT INTO alerts (event_id, run_id, sequence, source, captured_at, raised_at,"
                " frame_score, threshold, event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    alert.event_id,
                    self._run_id,
                    alert.sequence,
                    _storable(alert.source),
                    event["captured_at"],
                    event["raised_at"],
                    alert.frame_score,
                    alert.threshold,
                    json.dumps(event, allow_nan=False),
                ),
            ).lastrowid
            connection.executemany(
                "INSERT INTO deliveries (alert_id, sink) VALUES (?, ?)",
                [(alert_id, sink) for sink in sinks],
            )

    def pending(self, sink: str, limit: int) -> list[Alert]:
        """At most `limit` alerts not yet delivered to `sink`.

        Those that failed least come first, oldest first, so that an alert that can never be
        delivered does not hold up the others.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT event FROM deliveries JOIN alerts USING (alert_id)"
                " WHERE sink = ? AND delivered_at IS NULL ORDER BY attempts, alert_id LIMIT ?",
                (sink, limit),
            ).fetchall()
            return [Alert.from_dict(json.loads(event)) for (event,) in rows]

    def mark_delivered(self, event_id: str, sink: str) -> None:
        """Record that `sink` took the alert."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, delivered_at = ?,"
                " last_error = NULL WHERE sink = ?"
                " AND alert_id = (SELECT alert_id FROM alerts WHERE event_id = ?)",
                (utc_text(time.time()), sink, event_id),
            )

    def mark_failed(self, event_id: str, sink: str, reason: str) -> None:
        """Record that `sink` did not take the alert, and why."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, last_error = ? WHERE sink = ?"
                " AND alert_id = (SELECT alert_id FROM alerts WHERE event_id = ?)",
                (_storable(reason), sink, event_id),
            )

    def counts(self) -> JournalCounts:
        """How much the journal holds."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM alerts),"
                " (SELECT count(*) FROM deliveries WHERE delivered_at IS NULL)"
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
            version = self._version(connection)
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in script.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _check_ours(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id != APPLICATION_ID and (application_id or objects):
            raise SemedgeError(
                f"The journal {self.path} is a database of another program; choose another file."
            )
        version = self._version(connection)
        if version > len(MIGRATIONS):
            raise SemedgeError(
                f"The journal {self.path} has version {version}, and this semedge knows versions "
                f"up to {len(MIGRATIONS)}; update semedge, or choose another file."
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._failure("read", sqlite3.DatabaseError(verdict))

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)

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
