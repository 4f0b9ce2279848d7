"""A store of results while files are scored, which survives an interruption."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple
from itertools import islice
from pathlib import Path

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError
from semedge.inference.batch.score_file import ScoredFile, ScoreSettings, file_stamp

APPLICATION_ID = 0x5E3D5C0E
FORMAT = 2
BATCH_ROWS = 500
"""Rows of one query."""
SCHEMA = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    "CREATE TABLE settings (document TEXT NOT NULL)",
    """
    CREATE TABLE scored (
        path BLOB PRIMARY KEY, frame_score REAL NOT NULL, peak_x_px INTEGER NOT NULL,
        peak_y_px INTEGER NOT NULL, size_bytes INTEGER NOT NULL, changed_ns INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)


class ScoreStore(Closing):
    """One row for each file, keyed by its path; what is stored survives even `kill -9`.

    A row counts as long as its file has the size and the time of change that it had.

    Parameters
    ----------
    path
        An SQLite file, or None to store the rows in memory. Only one process at a time can open
        it.
    settings
        Settings that the scores depend on; a file with scores of other settings is refused.
    """

    def __init__(self, path: Path | None, settings: ScoreSettings) -> None:
        self.path = path
        self._name = str(path) if path else "in memory"
        try:
            self._connection = self._open()
        except OSError as error:
            raise self._failure("written", error.strerror or "no reason given") from error
        except sqlite3.Error as error:
            raise self._failure("opened", str(error)) from error
        try:
            self._prepare(settings)
        except BaseException:
            self._connection.close()
            raise

    def add(self, results: Iterable[ScoredFile]) -> None:
        """Store the results, all or none; a new result of a file replaces the old one."""
        rows = [(os.fsencode(path), *values) for path, *values in map(astuple, results)]
        try:
            with self._transaction():
                self._connection.executemany("REPLACE INTO scored VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._failure("written", str(error)) from error

    def missing(self, files: Sequence[str]) -> list[str]:
        """The files that have no row yet; rows of files that have changed are deleted."""
        rows = list(self.rows(files))
        changed = [each.path for each in rows if each.stamp != file_stamp(each.path)]
        self._delete(changed)
        found = {each.path for each in rows}.difference(changed)
        return [path for path in files if path not in found]

    def _delete(self, paths: Sequence[str]) -> None:
        keys = [(os.fsencode(path),) for path in paths]
        try:
            with self._transaction():
                self._connection.executemany("DELETE FROM scored WHERE path = ?", keys)
        except sqlite3.Error as error:
            raise self._failure("written", str(error)) from error

    def rows(self, files: Iterable[str]) -> Iterator[ScoredFile]:
        """The rows of these files, in their order."""
        remaining = iter(files)
        while batch := list(islice(remaining, BATCH_ROWS)):
            marks = ",".join("?" * len(batch))
            query = f"SELECT * FROM scored WHERE path IN ({marks})"
            keys = [os.fsencode(path) for path in batch]
            try:
                found = {row[0]: row[1:] for row in self._connection.execute(query, keys)}
            except sqlite3.Error as error:
                raise self._failure("read", str(error)) from error
            for key, path in zip(keys, batch, strict=True):
                if key in found:
                    yield ScoredFile(path, *found[key])

    def remove(self) -> None:
        """Close the file and delete it, because its rows are no longer needed."""
        self.close()
        if self.path is not None:
            for ending in ("", "-wal", "-shm"):
                self.path.with_name(f"{self.path.name}{ending}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(self.path or ":memory:", timeout=1.0, isolation_level=None)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.execute("COMMIT")

    def _prepare(self, settings: ScoreSettings) -> None:
        connection = self._connection
        expected = asdict(settings) | {"format": FORMAT}
        expected |= expected.pop("view").model_dump(mode="json")
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables == 0:
                with self._transaction():
                    for statement in SCHEMA:
                        connection.execute(statement)
                    connection.execute("INSERT INTO settings VALUES (?)", [json.dumps(expected)])
                return
            if application_id != APPLICATION_ID:
                raise self._failure("read", "it belongs to another program")
            (document,) = connection.execute("SELECT document FROM settings").fetchone()
            stored = json.loads(document)
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self._failure("opened", str(error)) from error
        for name, value in expected.items():
            if stored.get(name) != value:
                raise SemedgeError(
                    f"{self._name} has scores of an interrupted run with {name} "
                    f"{stored.get(name)!r}, and this one has {value!r}; finish that run, delete "
                    "the file, or choose another --out."
                )

    def _failure(self, verb: str, reason: str) -> SemedgeError:
        if reason == "database is locked":
            return SemedgeError(
                f"Another `semedge score` writes to {self._name}; wait until it ends, or choose "
                "another --out."
            )
        return SemedgeError(
            f"{self._name} could not be {verb} ({reason}); free some space, delete the file, or "
            "choose another --out."
        )
