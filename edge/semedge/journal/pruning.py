"""What a journal forgets, the oldest first and a little at a time, so that nobody waits long."""

from __future__ import annotations

from semedge.core.timing import utc_text
from semedge.journal.database import Database

LOT_ROWS = 2_000
"""Rows that are forgotten in one transaction."""

SETTLED = (
    "NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.number = events.number"
    " AND delivered_at IS NULL AND rejected_at IS NULL)"
)


def used_bytes(journal: Database) -> int:
    """Size of what the journal holds; room that it has given up is used again."""
    with journal.reading() as connection:
        pages, unused, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - unused) * page_bytes)


def drop_scores(journal: Database, before_s: float) -> None:
    """Forget the scores of frames captured before a time."""
    while _drop_lot(journal, "scores", "captured_at < ?", utc_text(max(0.0, before_s))):
        pass


def drop_events(journal: Database, before_s: float) -> None:
    """Forget events raised before a time, once no sink waits for them."""
    old = f"raised_at < ? AND {SETTLED}"
    while _drop_lot(journal, "events", old, utc_text(max(0.0, before_s))):
        pass


def shrink_to(journal: Database, most_bytes: int) -> None:
    """Forget the oldest scores, then the oldest settled events, while there is too much."""
    for table, condition in (("scores", "1"), ("events", SETTLED)):
        while used_bytes(journal) > most_bytes and _drop_lot(journal, table, condition):
            pass


def _drop_lot(journal: Database, table: str, condition: str, *values: str) -> bool:
    """Forget some of the oldest rows; whether there may be more."""
    key = "number" if table == "events" else "rowid"
    chosen = f"SELECT {key} FROM {table} WHERE {condition} ORDER BY {key} LIMIT {LOT_ROWS}"
    with journal.transaction() as connection:
        if table == "events":
            connection.execute(f"DELETE FROM deliveries WHERE number IN ({chosen})", values)
            connection.execute(
                "DELETE FROM acknowledgements WHERE event_id IN"
                f" (SELECT event_id FROM events WHERE number IN ({chosen}))",
                values,
            )
        gone = connection.execute(f"DELETE FROM {table} WHERE {key} IN ({chosen})", values).rowcount
    return bool(gone == LOT_ROWS)
