"""Read-only access to a journal, also while a watch writes to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from semedge.core.event import Event
from semedge.core.mark import Mark
from semedge.journal.database import Database
from semedge.journal.query import (
    ADDED_BY_PEOPLE,
    COLUMNS,
    MARKED_EVENTS,
    Query,
    conditions,
    event_documents_query,
    rows_query,
)

BATCH_ROWS = 1000
"""Rows that are fetched together."""

SHOWN_EVENTS = (
    "SELECT document, seen.at, seen.who, marked.mark, marked.at, marked.who, marked.note"
    " FROM events LEFT JOIN acknowledgements AS seen USING (event_id)"
    f" LEFT JOIN {MARKED_EVENTS} AS marked USING (event_id)"
)
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


@dataclass(frozen=True)
class ShownEvent:
    """An event with what people added: who has seen it, and its mark."""

    event: Event
    seen: Acknowledgement | None
    mark: Mark | None


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
                for text, *added in _in_batches(found):
                    document = json.loads(text)
                    document.setdefault("raw_score", None)  # unknown in older versions' events
                    yield document | dict(zip(ADDED_BY_PEOPLE, added, strict=True))
                return
            for row in self.rows(query):
                if query.subject == "audit":
                    row |= {name: json.loads(row[name]) for name in ("before", "after")}
                yield row

    def newest_events(self, limit: int) -> list[ShownEvent]:
        """The newest message of each of the newest events, newest first."""
        with self.reading() as connection:
            rows = connection.execute(
                f"{SHOWN_EVENTS} WHERE number IN (SELECT max(number) FROM events"
                " WHERE number > (SELECT max(number) FROM events) - ? GROUP BY event_id"
                " ORDER BY max(number) DESC LIMIT ?) ORDER BY number DESC",
                (MESSAGES_SEARCHED, limit),
            ).fetchall()
            return [_shown(*row) for row in rows]

    def occurrences(self, query: Query, before: int | None = None) -> list[ShownEvent]:
        """The newest message of each event that the query matches, newest first.

        `before` continues a page: only messages with a smaller number.
        """
        where, values = conditions(query)
        if before is not None:
            where, values = f"{where} AND number < ?", [*values, before]
        with self.reading() as connection:
            rows = connection.execute(
                f"{SHOWN_EVENTS} WHERE {where} AND NOT EXISTS (SELECT 1 FROM events AS newer"
                " WHERE newer.event_id = events.event_id AND newer.number > events.number)"
                " ORDER BY number DESC LIMIT ?",
                [*values, -1 if query.limit is None else query.limit],
            ).fetchall()
            return [_shown(*row) for row in rows]

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

    def marks_of(
        self, column: Literal["event_id", "frame"], names: Sequence[str]
    ) -> dict[str, Mark]:
        """The last mark of those of some hundred events, or frames, that are marked."""
        chosen = ", ".join("?" * len(names))
        with self.reading() as connection:
            rows = connection.execute(
                f"SELECT {column}, mark, at, who, note, max(mark_id) FROM marks"
                f" WHERE {column} IN ({chosen}) GROUP BY {column}",
                list(names),
            ).fetchall()
        return {name: Mark(*marked) for name, *marked, _ in rows if marked[0] != "none"}

    def picture(self, event_id: str, which: str) -> Path | None:
        """Path of an event's newest `frame` or `overlay` picture; None where there is none."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT document FROM events WHERE event_id = ? ORDER BY number DESC", (event_id,)
            ).fetchall()
            named = (json.loads(document).get(f"{which}_picture") for (document,) in rows)
            return next((Path(path) for path in named if path is not None), None)


def _shown(document: str, at: str | None, who: str, *marked: Any) -> ShownEvent:
    return ShownEvent(
        Event.from_document(json.loads(document)),
        None if at is None else Acknowledgement(at, who),
        None if marked[0] is None else Mark(*marked),
    )


def _in_batches(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(BATCH_ROWS):
        yield from batch
