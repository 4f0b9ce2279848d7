"""Deletion of old rows, found by an index and in small pieces, so that no writer waits long."""

from __future__ import annotations

import time
from collections.abc import Callable

from semedge.core.timing import utc_text
from semedge.journal.database import Database

BATCH_ROWS = 200
"""Rows that are deleted in one transaction."""

PAUSE_S = 0.02
"""Pause between two transactions, in which other writers come first."""

SETTLED = (
    "NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.number = events.number"
    " AND delivered_at IS NULL AND rejected_at IS NULL)"
)
GoOn = Callable[[], bool]


def used_bytes(journal: Database) -> int:
    """Size of the content of the journal, without the space of deleted rows, which is reused."""
    with journal.reading() as connection:
        pages, unused, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - unused) * page_bytes)


def drop_scores(journal: Database, before_s: float, go_on: GoOn = lambda: True) -> None:
    """Delete the scores of frames captured before a time, while `go_on` returns true."""
    before = utc_text(max(0.0, before_s))
    while go_on() and _drop_scores(journal, "WHERE captured_at < ? ORDER BY captured_at", before):
        time.sleep(PAUSE_S)


def drop_events(journal: Database, before_s: float, go_on: GoOn = lambda: True) -> None:
    """Delete events raised before a time that are pending for no sink, while `go_on` is true."""
    before = utc_text(max(0.0, before_s))
    order = f"WHERE raised_at < ? AND {SETTLED} ORDER BY raised_at"
    while go_on() and _drop_events(journal, order, before):
        time.sleep(PAUSE_S)


def shrink_to(journal: Database, most_bytes: int, go_on: GoOn = lambda: True) -> None:
    """Delete the oldest scores, then the oldest settled events, until the size fits."""
    for drop, order in (
        (_drop_scores, "ORDER BY rowid"),
        (_drop_events, f"WHERE {SETTLED} ORDER BY number"),
    ):
        while go_on() and used_bytes(journal) > most_bytes and drop(journal, order):
            time.sleep(PAUSE_S)


def _drop_scores(journal: Database, order: str, *values: str) -> bool:
    """Delete the first scores of this order; whether there may be more."""
    rows = _chosen(journal, f"SELECT rowid FROM scores {order} LIMIT {BATCH_ROWS}", values)
    with journal.transaction() as connection:
        connection.executemany("DELETE FROM scores WHERE rowid = ?", rows)
    return len(rows) == BATCH_ROWS


def _drop_events(journal: Database, order: str, *values: str) -> bool:
    """Delete the first events of this order; whether there may be more."""
    rows = _chosen(journal, f"SELECT number FROM events {order} LIMIT {BATCH_ROWS}", values)
    with journal.transaction() as connection:
        connection.executemany("DELETE FROM deliveries WHERE number = ?", rows)
        connection.executemany(
            "DELETE FROM acknowledgements WHERE event_id ="
            " (SELECT event_id FROM events WHERE number = ?)",
            rows,
        )
        connection.executemany("DELETE FROM events WHERE number = ?", rows)
    return len(rows) == BATCH_ROWS


def _chosen(journal: Database, query: str, values: tuple[str, ...]) -> list[tuple[int]]:
    with journal.reading() as connection:
        return connection.execute(query, values).fetchall()
