"""Files that are no journal, a damaged one, or an old one."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from journal_support import event, rows

from semedge.core.errors import SemedgeError
from semedge.core.event import event_schema
from semedge.journal.journal import Journal
from semedge.journal.query import Query
from semedge.journal.reader import JournalReader
from semedge.journal.schema import APPLICATION_ID, MIGRATIONS


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photographs (id INTEGER)")
    connection.commit()
    connection.close()


def marked_by_another_program(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 42")
    connection.execute("VACUUM")
    connection.close()


def newer(path: Path) -> None:
    Journal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def filled(path: Path) -> None:
    with Journal(path) as journal:
        for number in range(200):
            journal.add_event(event(number), ["console"])


def truncated(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    filled(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 20_000)


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (foreign, "another program; choose another file"),
        (marked_by_another_program, "another program; choose another file"),
        (newer, r"version 99\b.* to 4; update semedge"),
        (lambda path: path.write_bytes(b"no database at all" * 500), "not a database"),
        (truncated, r"\(.*(malformed|truncated).*\); move it away"),
        (overwritten, "move it away"),
        (lambda path: path.mkdir(), r"opened \(.*folder that can be written"),
    ],
)
def test_files_that_are_no_journal_are_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], object], values: str
) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(SemedgeError, match=values) as caught:
        Journal(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before is None or path.read_bytes() == before


def test_a_damaged_event_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.add_event(event(), ["console"])
    connection = sqlite3.connect(path)
    connection.execute("UPDATE events SET document = '{\"event_id\": 1'")
    connection.commit()
    connection.close()
    with Journal(path) as journal, pytest.raises(SemedgeError, match=rf"{path} .*read "):
        journal.pending("console", 10)


def test_an_old_journal_is_brought_to_the_newest_version(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    document = {
        "event_id": "0f" * 16,
        "sequence": 7,
        "source": "line/frame7.png",
        "captured_at": "2023-11-14T22:13:20.250000Z",
        "raised_at": "2023-11-14T22:13:20.500000Z",
        "frame_score": 3.5,
        "threshold": 2.0,
        "peak_px": [40, 24],
        "detector_sha256": "ab" * 32,
        "frame_picture": "/pictures/frame.png",
        "overlay_picture": None,
    }
    connection = sqlite3.connect(path)
    connection.executescript(MIGRATIONS[0])
    connection.execute("PRAGMA user_version = 1")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(
        "INSERT INTO runs (run_id, started_at, camera, detector_sha256, threshold, alerts)"
        " VALUES (1, '2023-11-14T22:00:00.000000Z', 'sim:1', ?, 2.0, 1)",
        ("ab" * 32,),
    )
    connection.execute(
        "INSERT INTO alerts VALUES (5, ?, 1, 7, ?, ?, ?, 3.5, 2.0, ?)",
        (
            document["event_id"],
            document["source"],
            document["captured_at"],
            document["raised_at"],
            json.dumps(document),
        ),
    )
    connection.execute("INSERT INTO deliveries VALUES (5, 'console', 2, NULL, 'away')")
    connection.commit()
    connection.close()
    with Journal(path) as journal:
        (waiting,) = journal.pending("console", 10)
        assert waiting.number == 5
        assert (waiting.kind, waiting.level, waiting.sequence) == ("defect", "alarm", 7)
        assert waiting.to_document().items() >= document.items()
        jsonschema.validate(waiting.to_document(), event_schema())
        journal.mark_delivered(waiting, "console")
        assert journal.add_event(event(), []).number == 6
    assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert rows(path, "SELECT attempts, last_error FROM deliveries") == [(3, None)]
    assert rows(path, "SELECT source, camera, frames_alarmed FROM runs") == [("sim:1", "", 1)]


def test_a_journal_that_has_marks_but_no_scales_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    for script in MIGRATIONS[:3]:
        connection.executescript(script)
    connection.execute("PRAGMA user_version = 3")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    at = "2023-11-14T22:00:00.000000Z"
    connection.execute(
        "INSERT INTO runs (started_at, camera, source, detector_sha256, threshold)"
        " VALUES (?, 'left', 'sim:1', ?, 2.0)",
        (at, "ab" * 32),
    )
    connection.execute("INSERT INTO scores VALUES (1, ?, 7, 1, 3.5, 'alarm')", (at,))
    connection.execute(
        "INSERT INTO marks VALUES (1, ?, 'page', 'left', 'real', NULL, 'a', '')", (at,)
    )
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with JournalReader(path) as history:
        (score,) = history.rows(Query("scores", camera="left"))
        assert (score["score"], score["raw_score"]) == (3.5, None)
        assert [mark["frame"] for mark in history.rows(Query("marks"))] == ["a"]
        (run,) = history.rows(Query("runs"))
        assert (run["threshold"], run["score_unit"]) == (2.0, None)
    assert path.read_bytes() == before
