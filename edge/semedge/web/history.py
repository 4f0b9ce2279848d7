"""The history of events on the page: in pages, as a table, and as counts by hour."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import JSONResponse, Response

from semedge.core.errors import SemedgeError
from semedge.core.event import Kind, Level
from semedge.core.tables import write_table
from semedge.core.timing import utc_text
from semedge.journal.query import COLUMNS, parse_time
from semedge.journal.query import Query as JournalQuery
from semedge.journal.reader import JournalReader
from semedge.web.broadcast import shown_event

READING = ["GET", "HEAD"]
EVENTS_A_PAGE = 30
MOST_ROWS = 100_000
"""Rows of a table that is downloaded: the newest."""

HOURS_SHOWN = 24
COUNTED_EVERY_S = 20.0
"""Time for which counts by hour are used again, for any number of viewers."""

Text = Annotated[str | None, Query(max_length=60)]


def _filtered(
    kind: Kind | None = None,
    level: Level | None = None,
    camera: Text = None,
    since: Text = None,
    until: Text = None,
) -> JournalQuery:
    """The events that a request asks for."""
    with _refusing():
        return JournalQuery(
            since=_time(since), until=_time(until), camera=camera, kind=kind, level=level
        )


Filtered = Annotated[JournalQuery, Depends(_filtered)]


class HourlyCounts:
    """Frames and defects of the last hours, counted at a limited rate.

    Parameters
    ----------
    journal
        The journal with the scores and events.
    """

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._counted_s = float("-inf")
        self._counts: list[dict[str, Any]] = []

    def document(self) -> dict[str, Any]:
        """The counts by camera and hour; `SemedgeError` where the journal cannot be read."""
        with self._lock:
            if time.monotonic() - self._counted_s > COUNTED_EVERY_S:
                since = utc_text((time.time() // 3600 - HOURS_SHOWN + 1) * 3600)
                self._counts = [
                    {**vars(each), "hour": f"{each.hour}:00:00Z"}
                    for each in self._journal.hours(since)
                ]
                self._counted_s = time.monotonic()
            return {"now": utc_text(time.time()), "hours": self._counts}


def add_history(app: FastAPI, journal: JournalReader) -> None:
    """Serve the history of a journal."""
    counts = HourlyCounts(journal)

    @app.api_route("/api/history", methods=READING)
    def history(filtered: Filtered, before: Annotated[int | None, Query(ge=1)] = None) -> Response:
        with _refusing():
            found = journal.occurrences(replace(filtered, limit=EVENTS_A_PAGE + 1), before)
        shown = found[:EVENTS_A_PAGE]
        return JSONResponse(
            {
                "events": [shown_event(each) for each in shown],
                "more": len(found) > EVENTS_A_PAGE,
            }
        )

    @app.api_route("/api/history.csv", methods=READING)
    def table(filtered: Filtered) -> Response:
        with _refusing(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.csv"
            rows = journal.rows(replace(filtered, limit=MOST_ROWS))
            write_table(path, COLUMNS["events"], rows)
            content = path.read_bytes()
        name = f"semedge-events-{time.strftime('%Y%m%d-%H%M%S')}.csv"
        return Response(
            content,
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    @app.api_route("/api/hours", methods=READING)
    def hours() -> Response:
        with _refusing():
            return JSONResponse(counts.document())


def _time(text: str | None) -> str | None:
    return parse_time(text) if text else None


@contextmanager
def _refusing() -> Iterator[None]:
    """Respond with the reason where the journal, or a time in the request, cannot be read."""
    try:
        yield
    except SemedgeError as error:
        raise HTTPException(422, str(error)) from None
