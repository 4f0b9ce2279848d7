"""The marks of events and frames in the journal."""

from __future__ import annotations

import json

from semedge.core.event import Event
from semedge.journal.database import Database, insert_audit, no_event, storable
from semedge.journal.records import MarkRow


def newest_message(journal: Database, event_id: str) -> Event:
    """The newest message of an event on the disk; `SemedgeError` where there is none."""
    with journal.reading() as connection:
        row = connection.execute(
            "SELECT document FROM events WHERE event_id = ? ORDER BY number DESC LIMIT 1",
            (event_id,),
        ).fetchone()
        if row is None:
            raise no_event(event_id)
        return Event.from_document(json.loads(row[0]))


def add_mark(journal: Database, given: MarkRow) -> None:
    """Store a mark, and who changed what; the marks before it stay in the history."""
    column, name = ("event_id", given.event_id) if given.event_id else ("frame", given.frame)
    with journal.transaction() as connection:
        before = connection.execute(
            f"SELECT mark FROM marks WHERE {column} = ? ORDER BY mark_id DESC LIMIT 1", (name,)
        ).fetchone()
        connection.execute(
            "INSERT INTO marks (at, who, camera, mark, event_id, frame, note)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                given.at,
                storable(given.who),
                given.camera,
                given.mark,
                given.event_id,
                given.frame,
                storable(given.note),
            ),
        )
        insert_audit(
            connection,
            given.who,
            given.camera,
            "mark",
            {column: name, "mark": "none" if before is None else before[0]},
            {column: name, "mark": given.mark},
        )
