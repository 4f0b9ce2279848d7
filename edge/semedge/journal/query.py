"""What happened: queries of a journal, also of one that a watch is writing to."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, get_args

from semedge.core.errors import SemedgeError
from semedge.core.timing import utc_text
from semedge.journal.database import Database

Subject = Literal["events", "scores", "audit", "deliveries", "runs"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)

LOT_ROWS = 1000
AGES_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}

COLUMNS: dict[Subject, tuple[str, ...]] = {
    "events": (
        *("number", "raised_at", "station", "camera", "kind", "phase", "code", "level", "message"),
        *("event_id", "started_at", "duration_s", "sequence", "source", "captured_at"),
        *("frame_score", "threshold", "frames", "frame_picture", "overlay_picture"),
        *("detector_sha256", "calibration_sha256", "recipe_sha256"),
        *("acknowledged_at", "acknowledged_by"),
    ),
    "scores": ("captured_at", "camera", "sequence", "score", "level", "frames", "run_id"),
    "audit": ("at", "who", "camera", "action", "before", "after"),
    "deliveries": ("number", "sink", "attempts", "delivered_at", "rejected_at", "last_error"),
    "runs": (
        *("run_id", "started_at", "ended_at", "camera", "source", "threshold", "frames_seen"),
        *("frames_inspected", "frames_skipped", "frames_lost", "frames_warned", "frames_alarmed"),
        *("alerts", "detector_sha256", "calibration_sha256", "recipe_sha256"),
    ),
}
"""Columns of each subject, in the order of a table."""

FROM_THE_DOCUMENT = {
    *("station", "message", "started_at", "duration_s", "sequence", "source", "captured_at"),
    *("frame_score", "threshold", "frames", "frame_picture", "overlay_picture"),
    *("detector_sha256", "calibration_sha256", "recipe_sha256"),
}

TABLES: dict[Subject, str] = {
    "events": (
        "(SELECT events.*, acknowledgements.at AS acknowledged_at,"
        " acknowledgements.who AS acknowledged_by"
        " FROM events LEFT JOIN acknowledgements USING (event_id))"
    ),
    "scores": "(SELECT scores.*, runs.camera FROM scores JOIN runs USING (run_id))",
    "audit": "audit",
    "deliveries": (
        "(SELECT deliveries.*, events.raised_at, events.camera, events.kind, events.level"
        " FROM deliveries JOIN events USING (number))"
    ),
    "runs": "runs",
}
TIMES: dict[Subject, str] = {
    "events": "raised_at",
    "scores": "captured_at",
    "audit": "at",
    "deliveries": "raised_at",
    "runs": "started_at",
}
ORDER: dict[Subject, str] = {
    "events": "number",
    "scores": "captured_at",
    "audit": "audit_id",
    "deliveries": "number",
    "runs": "run_id",
}
CONDITIONS: dict[Subject, frozenset[str]] = {
    "events": frozenset({"camera", "kind", "level", "phase"}),
    "scores": frozenset({"camera", "level"}),
    "audit": frozenset({"camera"}),
    "deliveries": frozenset({"camera", "kind", "level"}),
    "runs": frozenset({"camera"}),
}


@dataclass(frozen=True)
class Question:
    """What of the history is wanted; None for whatever it is.

    Attributes
    ----------
    subject
        Which table.
    since, until
        Times as `utc_text` writes them; the first counts in, the second does not.
    camera, kind, level, phase
        Only those rows, where the subject has such a column.
    most
        At most so many, the newest; None for all.
    """

    subject: Subject = "events"
    since: str | None = None
    until: str | None = None
    camera: str | None = None
    kind: str | None = None
    level: str | None = None
    phase: str | None = None
    most: int | None = None


class History(Database):
    """A journal that is only read.

    Parameters
    ----------
    path
        The journal.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, read_only=True)

    def rows(self, question: Question) -> Iterator[dict[str, Any]]:
        """Rows by the names of `COLUMNS`, oldest first, read in lots."""
        where, values = _conditions(question)
        columns = [
            f"json_extract(document, '$.{name}') AS {name}"
            if question.subject == "events" and name in FROM_THE_DOCUMENT
            else name
            for name in COLUMNS[question.subject]
        ]
        limit = -1 if question.most is None else question.most
        query = (
            f"SELECT {', '.join(COLUMNS[question.subject])} FROM (SELECT {', '.join(columns)},"
            f" {ORDER[question.subject]} AS place FROM {TABLES[question.subject]} WHERE {where}"
            " ORDER BY place DESC LIMIT ?) ORDER BY place"
        )
        with self.reading() as connection:
            cursor = connection.execute(query, (*values, limit))
            while lot := cursor.fetchmany(LOT_ROWS):
                for row in lot:
                    yield dict(zip(COLUMNS[question.subject], row, strict=True))

    def documents(self, question: Question) -> Iterator[dict[str, Any]]:
        """The rows as JSON documents: events as every sink sends them."""
        if question.subject != "events":
            for row in self.rows(question):
                if question.subject == "audit":
                    row |= {name: json.loads(row[name]) for name in ("before", "after")}
                yield row
            return
        where, values = _conditions(question)
        limit = -1 if question.most is None else question.most
        query = (
            "SELECT document, acknowledged_at, acknowledged_by FROM (SELECT * FROM"
            f" {TABLES['events']} WHERE {where} ORDER BY number DESC LIMIT ?) ORDER BY number"
        )
        with self.reading() as connection:
            cursor = connection.execute(query, (*values, limit))
            while lot := cursor.fetchmany(LOT_ROWS):
                for document, at, who in lot:
                    known = {"acknowledged_at": at, "acknowledged_by": who}
                    yield json.loads(document) | known


def parse_time(text: str) -> str:
    """A time as `utc_text` writes it, of an ISO date and time or of an age such as 90m or 7d.

    A time without an offset is the station's local time.
    """
    age = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    if age is not None:
        return utc_text(max(0.0, time.time() - int(age[1]) * AGES_S[age[2]]))
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
        return utc_text(moment.timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise SemedgeError(
            "A time is a date such as 2026-11-24, a date and time such as 2026-11-24T16:30, or an "
            f"age such as 90m, 12h or 7d. Received: {text!r:.60}"
        ) from error


def _conditions(question: Question) -> tuple[str, list[Any]]:
    parts, values = ["1"], []
    time_column = TIMES[question.subject]
    for operator, text in ((">=", question.since), ("<", question.until)):
        if text is not None:
            parts.append(f"{time_column} {operator} ?")
            values.append(text)
    for name in ("camera", "kind", "level", "phase"):
        value = getattr(question, name)
        if value is None:
            continue
        if name not in CONDITIONS[question.subject]:
            raise SemedgeError(
                f"The {question.subject} have no {name}; leave it out, or ask for events."
            )
        parts.append(f"{name} = ?")
        values.append(value)
    return " AND ".join(parts), values
