"""Events and rows of a journal, for its tests."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import replace
from pathlib import Path

from events import EVENT

from semedge.core.event import Event
from semedge.journal.journal import Journal
from semedge.journal.records import WatchRun


def event(sequence: int = 0) -> Event:
    return replace(EVENT, event_id=uuid.uuid4().hex, sequence=sequence)


def start_run(journal: Journal) -> WatchRun:
    return journal.start_run("left", "sim:1", "ab" * 32, 2.0)


def rows(path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
