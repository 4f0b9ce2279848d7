"""Read-only access to a journal, also while a watch writes to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semedge.core.event import Event
from semedge.journal.database import Database
from semedge.journal.query import COLUMNS, Query, conditions, event_documents_query, rows_query

BATCH_ROWS = 1000
"""Rows that are fetched together."""

MESSAGES_SEARCHED = 1_000
"""Number of the newest messages that are searched: the page queries them every second."""


@dataclass(frozen=True)
class Acknowledgement:
    """Who has seen an event, and when (ISO-8601, UTC)."""

    at: str
    who: str


@dataclass(frozen=True)
class HourCounts:
    """What a camera did in an hour.

    Attributes
    ----------
    hour
        Its beginning, as `2026-11-24T06`, UTC.
    camera
        The camera's name.
    frames
        Frames judged whose scores are stored.
    alarms, warnings
        Defects whose last message came in this hour, by the level that they reached.
    """

    hour: str
    camera: str
    frames: int
    alarms: int
    warnings: int


class JournalReader(Database):
    """Reads a journal over a separate connection; usable from several threads.

    Parameters
    ----------
    path
        The journal, which must exist.
    check
        Whether to check for damage first, which takes long for a large journal.
    """

    def __init__(self, path: Path, *, check: bool = True) -> None:
        super().__init__(path, read_only=True, check=check)

    def rows(self, query: Query) -> Iterator[dict[str, Any]]:
        """Rows by the names of `COLUMNS`, oldest first, read in batches."""
        with self.reading() as connection:
            for row in _in_batches(connection.execute(*rows_query(query))):
                yield dict(zip(COLUMNS[query.subject], row, strict=True))

    def documents(self, query: Query) -> Iterator[dict[str, Any]]:
        """The rows as JSON documents: events as every sink sends them."""
        with self.reading() as connection:
            if query.subject == "events":
                found = connection.execute(*event_documents_query(query))
                for document, at, who in _in_batches(found):
                    yield json.loads(document) | {"acknowledged_at": at, "acknowledged_by": who}
                return
            for row in self.rows(query):
                if query.subject == "audit":
                    row |= {name: json.loads(row[name]) for name in ("before", "after")}
                yield row

    def newest_events(self, limit: int) -> list[tuple[Event, Acknowledgement | None]]:
        """The newest message of each of the newest events, newest first."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT document, at, who FROM events LEFT JOIN acknowledgements USING (event_id)"
                " WHERE number IN (SELECT max(number) FROM events"
                " WHERE number > (SELECT max(number) FROM events) - ? GROUP BY event_id"
                " ORDER BY max(number) DESC LIMIT ?) ORDER BY number DESC",
                (MESSAGES_SEARCHED, limit),
            ).fetchall()
            return [_occurrence(row) for row in rows]

    def occurrences(
        self, query: Query, before: int | None = None
    ) -> list[tuple[Event, Acknowledgement | None]]:
        """The newest message of each event that the query matches, newest first.

        `before` continues a page: only messages with a smaller number.
        """
        where, values = conditions(query)
        if before is not None:
            where, values = f"{where} AND number < ?", [*values, before]
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT document, at, who FROM events LEFT JOIN acknowledgements USING (event_id)"
                f" WHERE {where} AND NOT EXISTS (SELECT 1 FROM events AS newer"
                " WHERE newer.event_id = events.event_id AND newer.number > events.number)"
                " ORDER BY number DESC LIMIT ?",
                [*values, -1 if query.limit is None else query.limit],
            ).fetchall()
            return [_occurrence(row) for row in rows]

    def newest_message(self, event_id: str) -> Event | None:
        """The newest message of an event; None where there is none."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT document FROM events WHERE event_id = ? ORDER BY number DESC LIMIT 1",
                (event_id,),
            ).fetchone()
            return None if row is None else Event.from_document(json.loads(row[0]))

    def hours(self, since: str) -> list[HourCounts]:
        """Frames judged and defects by camera and hour (UTC), the oldest hour first."""
        with self.reading() as connection:
            frames = connection.execute(
                "SELECT substr(captured_at, 1, 13), camera, sum(frames) FROM scores"
                " JOIN runs USING (run_id) WHERE captured_at >= ? GROUP BY 1, 2",
                (since,),
            ).fetchall()
            defects = connection.execute(
                "SELECT substr(raised_at, 1, 13), camera, level, count(*) FROM events"
                " WHERE raised_at >= ? AND kind = 'defect' AND NOT EXISTS (SELECT 1 FROM events"
                " AS newer WHERE newer.event_id = events.event_id"
                " AND newer.number > events.number) GROUP BY 1, 2, 3",
                (since,),
            ).fetchall()
        judged = {(hour, camera): int(count) for hour, camera, count in frames}
        raised = {(hour, camera, level): int(count) for hour, camera, level, count in defects}
        keys = sorted({*judged, *(key[:2] for key in raised)})
        return [
            HourCounts(
                *key,
                judged.get(key, 0),
                raised.get((*key, "alarm"), 0),
                raised.get((*key, "warn"), 0),
            )
            for key in keys
        ]

    def picture(self, event_id: str, which: str) -> Path | None:
        """Path of an event's newest `frame` or `overlay` picture; None where there is none."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT document FROM events WHERE event_id = ? ORDER BY number DESC", (event_id,)
            ).fetchall()
            named = (json.loads(document).get(f"{which}_picture") for (document,) in rows)
            return next((Path(path) for path in named if path is not None), None)


def _occurrence(row: tuple[str, str | None, str]) -> tuple[Event, Acknowledgement | None]:
    document, at, who = row
    seen = None if at is None else Acknowledgement(at, who)
    return Event.from_document(json.loads(document)), seen


def _in_batches(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(BATCH_ROWS):
        yield from batch
