"""Deletion of old rows, the oldest first and in batches, so that no other writer waits long."""

from __future__ import annotations

from semedge.core.timing import utc_text
from semedge.journal.database import Database

BATCH_ROWS = 2_000
"""Rows that are deleted in one transaction."""

SETTLED = (
    "NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.number = events.number"
    " AND delivered_at IS NULL AND rejected_at IS NULL)"
)


def used_bytes(journal: Database) -> int:
    """Size of the content of the journal, without the space of deleted rows, which is reused."""
    with journal.reading() as connection:
        pages, unused, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - unused) * page_bytes)


def drop_scores(journal: Database, before_s: float) -> None:
    """Delete the scores of frames captured before a time."""
    while _drop_batch(journal, "scores", "captured_at < ?", utc_text(max(0.0, before_s))):
        pass


def drop_events(journal: Database, before_s: float) -> None:
    """Delete events raised before a time that are pending for no sink."""
    old = f"raised_at < ? AND {SETTLED}"
    while _drop_batch(journal, "events", old, utc_text(max(0.0, before_s))):
        pass


def shrink_to(journal: Database, most_bytes: int) -> None:
    """Delete the oldest scores, then the oldest settled events, until the size fits."""
    for table, condition in (("scores", "1"), ("events", SETTLED)):
        while used_bytes(journal) > most_bytes and _drop_batch(journal, table, condition):
            pass


def _drop_batch(journal: Database, table: str, condition: str, *values: str) -> bool:
    """Delete some of the oldest rows; whether there may be more."""
    key = "number" if table == "events" else "rowid"
    chosen = f"SELECT {key} FROM {table} WHERE {condition} ORDER BY {key} LIMIT {BATCH_ROWS}"
    with journal.transaction() as connection:
        if table == "events":
            connection.execute(f"DELETE FROM deliveries WHERE number IN ({chosen})", values)
            connection.execute(
                "DELETE FROM acknowledgements WHERE event_id IN"
                f" (SELECT event_id FROM events WHERE number IN ({chosen}))",
                values,
            )
        gone = connection.execute(f"DELETE FROM {table} WHERE {key} IN ({chosen})", values).rowcount
    return bool(gone == BATCH_ROWS)
