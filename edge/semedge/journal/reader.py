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
    event_documents_query,
    rows_query,
)

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
                for document, *added in _in_batches(found):
                    yield json.loads(document) | dict(zip(ADDED_BY_PEOPLE, added, strict=True))
                return
            for row in self.rows(query):
                if query.subject == "audit":
                    row |= {name: json.loads(row[name]) for name in ("before", "after")}
                yield row

    def newest_events(self, limit: int) -> list[ShownEvent]:
        """The newest message of each of the newest events, newest first."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT document, seen.at, seen.who,"
                " marked.mark, marked.at, marked.who, marked.note"
                " FROM events LEFT JOIN acknowledgements AS seen USING (event_id)"
                f" LEFT JOIN {MARKED_EVENTS} AS marked USING (event_id)"
                " WHERE number IN (SELECT max(number) FROM events"
                " WHERE number > (SELECT max(number) FROM events) - ? GROUP BY event_id"
                " ORDER BY max(number) DESC LIMIT ?) ORDER BY number DESC",
                (MESSAGES_SEARCHED, limit),
            ).fetchall()
            return [
                ShownEvent(
                    Event.from_document(json.loads(document)),
                    None if at is None else Acknowledgement(at, who),
                    None if marked[0] is None else Mark(*marked),
                )
                for document, at, who, *marked in rows
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


def _in_batches(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(BATCH_ROWS):
        yield from batch
