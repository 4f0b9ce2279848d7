"""The SQLite file of the journal: opened, checked, and written to from several threads."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError
from semedge.core.timing import utc_text
from semedge.journal.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    READABLE_FROM,
    migrate,
    schema_version,
    stand_in_for_additions,
)

BUSY_TIMEOUT_S = 2.0

CHECKED_BYTES = 8_000_000
"""Size above which a check takes too long for a start."""

CACHE_KIB = 512
"""Size of the page cache: a station reads little at a time, and runs for months."""

REMEDY = {
    "opened": "choose a file in a folder that can be written",
    "read": "move it away to start a new one, or choose another file",
    "written": "free some space, or choose another file",
}


class UnwritableError(SemedgeError):
    """The journal cannot be written now, because the disk is full or fails."""


class Database(Closing):
    """The file at `path`, created where it is absent; usable from several threads.

    Parameters
    ----------
    path
        An SQLite file. A file that is damaged or belongs to another program or a newer semedge is
        refused with `SemedgeError`, and not changed.
    read_only
        Whether the file must exist, and is never written to.
    check
        Whether a file of at most `CHECKED_BYTES` is checked for damage when it is opened.
    """

    def __init__(self, path: Path, *, read_only: bool = False, check: bool = True) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        try:
            self._connection = self._open(read_only)
        except (OSError, sqlite3.Error) as error:
            raise self._failure("opened", error) from error
        try:
            self._prepare(read_only, check)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def interrupt(self) -> None:
        """Break off the current query; callable from any thread."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.interrupt()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for queries; `SemedgeError` where what is read is damaged."""
        with self._lock:
            try:
                yield self._connection
            except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
                raise self._failure("read", error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection, for changes that are all on the disk at the end, or all undone."""
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

    def _open(self, read_only: bool) -> sqlite3.Connection:
        if read_only:
            target = f"{self.path.absolute().as_uri()}?mode=ro"
            log = self.path.with_name(f"{self.path.name}-wal")
            if not log.exists() and not os.access(self.path.parent, os.W_OK):
                # On a read-only medium nobody writes, and SQLite cannot lock what it reads.
                target += "&immutable=1"
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            target = str(self.path)
        return sqlite3.connect(
            target,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            uri=read_only,
        )

    def _prepare(self, read_only: bool, check: bool) -> None:
        with self.reading() as connection:
            self._check_ours(connection)
            if check and self.path.stat().st_size <= CHECKED_BYTES:
                check_sound(connection, self._failure)
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            if read_only:
                self._check_readable(connection)
                return
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        with self.transaction() as connection:
            migrate(connection)

    def _check_ours(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id != APPLICATION_ID and (application_id or objects):
            raise SemedgeError(
                f"The journal {self.path} belongs to another program; choose another file."
            )
        version = schema_version(connection)
        if version > len(MIGRATIONS):
            raise SemedgeError(
                f"The journal {self.path} has version {version}, and this semedge reads versions "
                f"up to {len(MIGRATIONS)}; update semedge, or choose another file."
            )

    def _check_readable(self, connection: sqlite3.Connection) -> None:
        version = schema_version(connection)
        if version < READABLE_FROM:
            raise SemedgeError(
                f"The journal {self.path} has version {version}, and this semedge reads versions "
                f"from {READABLE_FROM} on; start `semedge watch` with it once, which updates it."
            )
        stand_in_for_additions(connection)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # The first error has the cause; SQLite undoes the rest when the file is reopened.
            pass

    def _failure(self, verb: str, error: Exception) -> SemedgeError:
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = (str(error) or type(error).__name__).splitlines()[0]
        passing = verb == "written" and type(error) in (
            sqlite3.OperationalError,
            sqlite3.DatabaseError,
        )
        kind = UnwritableError if passing else SemedgeError
        return kind(f"The journal {self.path} could not be {verb} ({reason}); {REMEDY[verb]}.")


def check_sound(
    connection: sqlite3.Connection, failure: Callable[[str, Exception], SemedgeError]
) -> None:
    """Read the whole file; raises `failure` where it is damaged. A gigabyte takes a minute."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise failure("read", sqlite3.DatabaseError(verdict))


class DamageCheck:
    """A check of a whole journal over a connection of its own, which can be broken off.

    Parameters
    ----------
    path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, read_only=True, check=False)
        self._closed = threading.Event()

    def run(self) -> str:
        """What is wrong with the journal; empty where nothing is, or the check was broken off."""
        try:
            with self._database.reading() as connection:
                check_sound(connection, self._database._failure)
        except SemedgeError as error:
            return "" if self._closed.is_set() else str(error)
        finally:
            self._database.close()
        return ""

    def stop(self) -> None:
        """Break the check off; callable from any thread."""
        self._closed.set()
        self._database.interrupt()


def storable(text: str) -> str:
    """`text` as SQLite can hold it: bytes of a file name that are not UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def no_event(event_id: str) -> SemedgeError:
    """The error where the journal has no such event."""
    return SemedgeError(
        f"There is no event {event_id[:64]!r} in the journal; give the event_id of one that "
        "`semedge history` lists."
    )


def insert_audit(
    connection: sqlite3.Connection, who: str, camera: str, action: str, before: Any, after: Any
) -> None:
    """Record within a transaction who changed what; `before` and `after` are JSON values."""
    connection.execute(
        "INSERT INTO audit (at, who, camera, action, before, after) VALUES (?, ?, ?, ?, ?, ?)",
        (
            utc_text(time.time()),
            storable(who),
            camera,
            action,
            json.dumps(before),
            json.dumps(after),
        ),
    )
