"""Queries of a journal, and the SQL for them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from semedge.core.errors import SemedgeError
from semedge.core.timing import utc_text

Subject = Literal["events", "scores", "marks", "audit", "deliveries", "runs"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)

AGES_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}

ADDED_BY_PEOPLE = (
    *("acknowledged_at", "acknowledged_by"),
    *("mark", "marked_at", "marked_by", "mark_note"),
)
"""Columns of events that are not in their documents, because people add them later."""

COLUMNS: dict[Subject, tuple[str, ...]] = {
    "events": (
        *("number", "raised_at", "station", "camera", "kind", "phase", "code", "level", "message"),
        *("event_id", "started_at", "duration_s", "sequence", "source", "captured_at"),
        *("frame_score", "raw_score", "threshold", "frames", "frame_picture", "overlay_picture"),
        *("detector_sha256", "calibration_sha256", "recipe_sha256"),
        *ADDED_BY_PEOPLE,
    ),
    "marks": ("at", "who", "camera", "mark", "event_id", "frame", "note"),
    "scores": (
        *("captured_at", "camera", "sequence", "score", "raw_score", "level", "frames", "run_id"),
    ),
    "audit": ("at", "who", "camera", "action", "before", "after"),
    "deliveries": ("number", "sink", "attempts", "delivered_at", "rejected_at", "last_error"),
    "runs": (
        *("run_id", "started_at", "ended_at", "camera", "source", "threshold", "frames_seen"),
        *("frames_inspected", "frames_skipped", "frames_lost", "frames_warned", "frames_alarmed"),
        *("alerts", "detector_sha256", "calibration_sha256", "recipe_sha256"),
        *("score_origin", "score_unit"),
    ),
}
"""Columns of each subject, in the order of a table."""

FROM_THE_DOCUMENT = {
    *("station", "message", "started_at", "duration_s", "sequence", "source", "captured_at"),
    *("frame_score", "raw_score", "threshold", "frames", "frame_picture", "overlay_picture"),
    *("detector_sha256", "calibration_sha256", "recipe_sha256"),
}

MARKED_EVENTS = (
    "(SELECT * FROM (SELECT event_id, mark, at, who, note, max(mark_id) FROM marks"
    " WHERE event_id IS NOT NULL GROUP BY event_id) WHERE mark <> 'none')"
)
"""The events that are marked, each with its last mark: other columns are those of the max's row."""

TABLES: dict[Subject, str] = {
    "events": (
        "(SELECT events.*, acknowledgements.at AS acknowledged_at,"
        " acknowledgements.who AS acknowledged_by, marked.mark, marked.at AS marked_at,"
        " marked.who AS marked_by, marked.note AS mark_note"
        " FROM events LEFT JOIN acknowledgements USING (event_id)"
        f" LEFT JOIN {MARKED_EVENTS} AS marked USING (event_id))"
    ),
    "marks": "marks",
    "scores": (
        # Computed from the run's constants: a journal has millions of scores, and few runs.
        "(SELECT scores.*, runs.camera, score_origin + score_unit * score AS raw_score"
        " FROM scores JOIN runs USING (run_id))"
    ),
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
    "marks": "at",
    "audit": "at",
    "deliveries": "raised_at",
    "runs": "started_at",
}
ORDER: dict[Subject, str] = {
    "events": "number",
    "scores": "captured_at",
    "marks": "mark_id",
    "audit": "audit_id",
    "deliveries": "number",
    "runs": "run_id",
}
CONDITIONS: dict[Subject, frozenset[str]] = {
    "events": frozenset({"camera", "kind", "level", "phase"}),
    "scores": frozenset({"camera", "level"}),
    "marks": frozenset({"camera"}),
    "audit": frozenset({"camera"}),
    "deliveries": frozenset({"camera", "kind", "level"}),
    "runs": frozenset({"camera"}),
}


@dataclass(frozen=True)
class Query:
    """Which rows to read; a field that is None matches every row.

    Attributes
    ----------
    subject
        The table.
    since, until
        Times as `utc_text` writes them; `since` is inclusive, `until` exclusive.
    camera, kind, level, phase
        Only those rows, where the subject has such a column.
    limit
        Largest number of rows, the newest; None for all.
    """

    subject: Subject = "events"
    since: str | None = None
    until: str | None = None
    camera: str | None = None
    kind: str | None = None
    level: str | None = None
    phase: str | None = None
    limit: int | None = None


def rows_query(query: Query) -> tuple[str, list[Any]]:
    """SQL for rows of `COLUMNS`, oldest first, and the values of its parameters."""
    where, values = conditions(query)
    columns = [
        f"json_extract(document, '$.{name}') AS {name}"
        if query.subject == "events" and name in FROM_THE_DOCUMENT
        else name
        for name in COLUMNS[query.subject]
    ]
    return (
        f"SELECT {', '.join(COLUMNS[query.subject])} FROM (SELECT {', '.join(columns)},"
        f" {ORDER[query.subject]} AS place FROM {TABLES[query.subject]} WHERE {where}"
        " ORDER BY place DESC LIMIT ?) ORDER BY place",
        [*values, _limit(query)],
    )


def event_documents_query(query: Query) -> tuple[str, list[Any]]:
    """SQL for events' documents and the columns of `ADDED_BY_PEOPLE`, oldest first."""
    where, values = conditions(query)
    return (
        f"SELECT document, {', '.join(ADDED_BY_PEOPLE)} FROM (SELECT * FROM"
        f" {TABLES['events']} WHERE {where} ORDER BY number DESC LIMIT ?) ORDER BY number",
        [*values, _limit(query)],
    )


def parse_time(text: str) -> str:
    """Convert an ISO date and time, or an age such as 90m or 7d, to a time as `utc_text` writes it.

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


def _limit(query: Query) -> int:
    return -1 if query.limit is None else query.limit


def conditions(query: Query) -> tuple[str, list[Any]]:
    """SQL of the conditions of a query, and the values of its parameters."""
    parts, values = ["1"], []
    time_column = TIMES[query.subject]
    for operator, text in ((">=", query.since), ("<", query.until)):
        if text is not None:
            parts.append(f"{time_column} {operator} ?")
            values.append(text)
    for name in ("camera", "kind", "level", "phase"):
        value = getattr(query, name)
        if value is None:
            continue
        if name not in CONDITIONS[query.subject]:
            raise SemedgeError(
                f"The {query.subject} have no {name}; leave it out, or query events."
            )
        parts.append(f"{name} = ?")
        values.append(value)
    return " AND ".join(parts), values
