"""The history is found by time and kind, and other programs can read it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from commandcall import Call
from events import EVENT

from semedge.core.errors import SemedgeError
from semedge.core.timing import utc_seconds
from semedge.journal.journal import Journal
from semedge.journal.query import COLUMNS, SUBJECTS, Query, parse_time
from semedge.journal.reader import JournalReader
from semedge.journal.records import ScoreRow

START_S = 1_700_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "semedge-journal.sqlite"
    with Journal(path) as journal:
        left = journal.start_run("left", "sim:1", "ab" * 32, 2.0, score_origin=0.25, score_unit=2.0)
        right = journal.start_run("right", "sim:2", "ab" * 32, 2.0)
        journal.add_scores(
            [
                ScoreRow(left, START_S + 60 * at, at, at / 10, "alarm" if at == 3 else None)
                for at in range(4)
            ]
        )
        journal.add_scores([ScoreRow(right, START_S, 9, 0.9, "warn", frames=5)])
        for at, (camera, kind, level) in enumerate(
            [("left", "defect", "warn"), ("right", "defect", "alarm"), ("left", "health", None)]
        ):
            event = replace(
                EVENT,
                event_id=uuid.UUID(int=at + 1).hex,
                camera=camera,
                kind=kind,
                level=level,
                raised_at_s=START_S + 60 * at,
                message=f"event {at}, with a comma",
            )
            journal.add_event(event, ["mqtt"], left)
        journal.acknowledge(uuid.UUID(int=1).hex, "page")
        journal.add_audit("page", "left", "levels", {"alarm": 2.0}, {"alarm": 3.0})
    return path


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (Query(), [1, 2, 3]),
        (Query(camera="left"), [1, 3]),
        (Query(kind="defect"), [1, 2]),
        (Query(level="alarm"), [2]),
        (Query(phase="end"), []),
        (Query(limit=2), [2, 3]),
        (Query(since=parse_time("2023-11-14T22:14:20Z")), [2, 3]),
        (Query(until=parse_time("2023-11-14T22:14:20+00:00")), [1]),
        (Query(kind="defect", camera="left", limit=1), [1]),
    ],
)
def test_events_are_found(path: Path, query: Query, numbers: list[int]) -> None:
    with JournalReader(path) as history:
        assert [row["number"] for row in history.rows(query)] == numbers
        assert [row["number"] for row in history.documents(query)] == numbers


def test_rows_have_their_columns(path: Path) -> None:
    with JournalReader(path) as history:
        for subject in SUBJECTS:
            for row in history.rows(Query(subject)):
                assert tuple(row) == COLUMNS[subject]
        (first, *_) = history.rows(Query())
        assert (first["acknowledged_by"], first["frame_score"]) == ("page", 3.5)
        scores = list(history.rows(Query("scores", camera="left")))
        assert [row["score"] for row in scores] == [0.0, 0.1, 0.2, 0.3]
        assert [row["raw_score"] for row in scores] == [0.25 + 2 * row["score"] for row in scores]
        (right,) = history.rows(Query("scores", camera="right"))
        assert right["raw_score"] is None
        assert [row["level"] for row in history.rows(Query("scores", level="warn"))] == ["warn"]
        (audit,) = history.documents(Query("audit"))
        assert audit["after"] == {"alarm": 3.0}
        assert len(list(history.rows(Query("deliveries", kind="defect")))) == 2
        with pytest.raises(SemedgeError, match=r"\bscores\b.*\bkind\b"):
            list(history.rows(Query("scores", kind="defect")))


def test_a_journal_can_be_read_while_it_is_written_to(path: Path) -> None:
    with Journal(path) as journal, JournalReader(path) as history:
        journal.add_event(replace(EVENT, event_id=uuid.uuid4().hex), [])
        assert len(list(history.rows(Query()))) == 4


@pytest.mark.parametrize("text", ["yesterday", "12x", "2026-13-01", "", "1e9d", "99999999999d"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SemedgeError, match=rf"7d\. Received: {text!r}"):
        parse_time(text)


def test_an_age_counts_from_now() -> None:
    assert utc_seconds(parse_time("90m")) == pytest.approx(time.time() - 5400, abs=5)
    assert parse_time("999999999w") == "1970-01-01T00:00:00.000000Z"
    assert parse_time("2023-11-14T22:14:20+01:00") == "2023-11-14T21:14:20.000000Z"


def test_the_command_prints_and_exports(call: Call, path: Path, tmp_path: Path) -> None:
    shown = call("history", "--journal", path, "--kind", "health")
    assert shown.status == 0
    assert shown.out.count("\n") == 1
    assert "event 2, with a comma" in shown.out
    document = json.loads(call("history", "audit", "--journal", path, "--json").out)
    assert document["audit"][0]["before"] == {"alarm": 2.0}
    table, columns = tmp_path / "e.csv", tmp_path / "s.parquet"
    assert call("history", "events", "--journal", path, "--out", table).status == 0
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["message"] == "event 0, with a comma"
    assert [row["level"] for row in rows] == ["warn", "alarm", ""]
    assert call("history", "scores", "--journal", path, "--out", columns).status == 0
    read = pyarrow.parquet.read_table(columns).to_pylist()
    assert [(row["score"], row["frames"]) for row in read if row["camera"] == "right"] == [(0.9, 5)]
    nothing = call("history", "--journal", path, "--since", "1h")
    assert (nothing.status, nothing.out) == (0, "")
    assert "The journal has no such rows." in nothing.err


def test_what_cannot_be_read_or_written_is_reported(call: Call, path: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent.sqlite"
    result = call("history", "--journal", absent)
    assert result.status == 1
    assert str(absent) in result.err
    assert not absent.exists()
    result = call("history", "--journal", path, "--out", tmp_path / "events.xlsx")
    assert "events.xlsx" in result.err
    assert call("history", "--journal", path, "--out", tmp_path / "no" / "e.csv").status == 0


def test_a_journal_on_a_read_only_medium_is_read(path: Path) -> None:
    """As a user who may not write there; root may write everywhere."""
    code = (
        "import sys; from pathlib import Path; from semedge.journal.reader import JournalReader;"
        "print(len(JournalReader(Path(sys.argv[1])).newest_events(9)))"
    )
    with JournalReader(path) as journal:
        expected = len(journal.newest_events(9))
    path.chmod(0o444)
    path.parent.chmod(0o555)
    drop = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    command = [*(drop if os.geteuid() == 0 else ()), sys.executable, "-c", code, str(path)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        path.parent.chmod(0o755)
    assert (result.stdout.strip(), result.stderr) == (str(expected), "")
