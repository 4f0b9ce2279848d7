"""What the page reads from the journal, over a connection of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from semedge.core.event import Event

BUSY_TIMEOUT_S = 1.0

MESSAGES_LOOKED_AT = 1_000
"""Older ones are left to `semedge history`: the page asks every second."""


@dataclass(frozen=True)
class Acknowledgement:
    """Who has seen an event, and when (ISO-8601, UTC)."""

    at: str
    who: str


class Archive:
    """Reads a journal while another connection writes to it, and never holds that one up.

    Parameters
    ----------
    path
        The journal.
    pictures
        The folder of pictures; no file outside of it is named.
    """

    def __init__(self, path: Path, pictures: Path) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._pictures = pictures.resolve()

    def newest(self, limit: int) -> list[tuple[Event, Acknowledgement | None]]:
        """The newest message of each of the newest happenings, newest first."""
        rows = self._read(
            "SELECT document, at, who FROM events LEFT JOIN acknowledgements USING (event_id)"
            " WHERE number IN (SELECT max(number) FROM events"
            " WHERE number > (SELECT max(number) FROM events) - ? GROUP BY event_id"
            " ORDER BY max(number) DESC LIMIT ?) ORDER BY number DESC",
            (MESSAGES_LOOKED_AT, limit),
        )
        return [
            (
                Event.from_document(json.loads(document)),
                None if at is None else Acknowledgement(at, who),
            )
            for document, at, who in rows
        ]

    def picture(self, event_id: str, which: str) -> Path | None:
        """File of an event's `frame` or `overlay` picture; None where there is none."""
        rows = self._read(
            "SELECT document FROM events WHERE event_id = ? ORDER BY number DESC", (event_id,)
        )
        for (document,) in rows:
            named = json.loads(document).get(f"{which}_picture")
            if named is not None:
                path = Path(named).resolve()
                return path if path.is_relative_to(self._pictures) and path.is_file() else None
        return None

    def _read(self, query: str, values: Sequence[str | int]) -> list[tuple[str, ...]]:
        """Rows; none where the journal cannot be read just now, which others say."""
        try:
            with closing(sqlite3.connect(self._uri, uri=True, timeout=BUSY_TIMEOUT_S)) as opened:
                return opened.execute(query, values).fetchall()
        except sqlite3.Error:
            return []
