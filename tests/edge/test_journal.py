"""The journal keeps what it acknowledged, whatever happens to the process or the disk."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semedge.alert import Alert, utc_text
from semedge.errors import SemedgeError
from semedge.journal import APPLICATION_ID, MIGRATIONS, Counters, Journal, JournalCounts

ALERT = Alert(
    event_id="0" * 32,
    sequence=7,
    source="line/frame7.png",
    captured_at_s=1_700_000_000.25,
    raised_at_s=1_700_000_000.5,
    frame_score=3.5,
    threshold=2.0,
    peak_px=(40, 24),
    detector_sha256="ab" * 32,
    frame_picture="/pictures/frame.png",
    overlay_picture=None,
)


def alert(number: int = 0) -> Alert:
    return replace(ALERT, event_id=uuid.uuid4().hex, sequence=number)


def rows(path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_to_dict_is_json_with_times_in_utc() -> None:
    document = json.loads(json.dumps(ALERT.to_dict(), allow_nan=False))
    assert document["captured_at"] == "2023-11-14T22:13:20.250000Z"
    assert document["raised_at"] == "2023-11-14T22:13:20.500000Z"
    assert document["peak_px"] == [40, 24]
    assert document["overlay_picture"] is None


@given(
    st.floats(0, 4e9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_an_alert_comes_back_from_its_document(time_s: float, score: float, source: str) -> None:
    original = replace(ALERT, captured_at_s=time_s, frame_score=score, source=source)
    again = Alert.from_dict(json.loads(json.dumps(original.to_dict())))
    assert again.captured_at_s == pytest.approx(time_s, abs=1e-6)
    assert replace(again, captured_at_s=time_s) == original


def test_alerts_wait_for_each_sink_until_it_took_them(tmp_path: Path) -> None:
    first, second = alert(1), alert(2)
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.start_run("sim:1", "ab" * 32, 2.0)
        for each in (first, second):
            journal.add_alert(each, ["console", "mqtt"])
        assert journal.pending("console", 10) == [first, second]
        assert journal.pending("console", 1) == [first]
        journal.mark_delivered(first.event_id, "console")
        assert journal.pending("console", 10) == [second]
        assert journal.pending("mqtt", 10) == [first, second]
        assert journal.pending("email", 10) == []
        assert journal.counts() == JournalCounts(runs=1, alerts=2, pending=3)


def test_what_failed_comes_after_what_was_not_tried(tmp_path: Path) -> None:
    poison, good = alert(1), alert(2)
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.add_alert(poison, ["mqtt"])
        journal.mark_failed(poison.event_id, "mqtt", "broker away")
        journal.mark_failed(poison.event_id, "mqtt", "broker away again")
        journal.add_alert(good, ["mqtt"])
        assert journal.pending("mqtt", 1) == [good]
        journal.mark_delivered(good.event_id, "mqtt")
        assert journal.pending("mqtt", 1) == [poison]
    assert rows(path, "SELECT attempts, last_error, delivered_at IS NULL FROM deliveries") == [
        (2, "broker away again", 1),
        (1, None, 0),
    ]


def test_an_alert_and_its_deliveries_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        with pytest.raises(SemedgeError, match="could not be written"):
            journal.add_alert(alert(), ["console", "console"])
        assert journal.counts() == JournalCounts(runs=0, alerts=0, pending=0)
        journal.add_alert(alert(), ["console"])
        assert journal.counts() == JournalCounts(runs=0, alerts=1, pending=1)


def test_runs_hold_their_counters(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.start_run("sim:1", "ab" * 32, 2.0)
        journal.add_alert(alert(), [])
        journal.count(Counters(9, 6, 2, 1, 1))
        journal.count(Counters(12, 8, 2, 2, 1), ended=True)
        journal.start_run("sim:2", "ab" * 32, 2.5)
        journal.count(Counters(1, 1, 0, 0, 0))
    assert rows(
        path,
        "SELECT camera, threshold, frames_seen, frames_inspected, frames_skipped, frames_lost,"
        " alerts, ended_at IS NULL FROM runs ORDER BY run_id",
    ) == [("sim:1", 2.0, 12, 8, 2, 2, 1, 0), ("sim:2", 2.5, 1, 1, 0, 0, 0, 1)]
    assert rows(path, "SELECT run_id FROM alerts") == [(1,)]


def test_the_file_is_in_wal_mode_and_the_outbox_has_its_index(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "journal.sqlite"
    with Journal(path):
        assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    plan = rows(
        path,
        "EXPLAIN QUERY PLAN SELECT alert_id FROM deliveries WHERE sink = 'console'"
        " AND delivered_at IS NULL ORDER BY attempts, alert_id",
    )
    assert "deliveries_pending" in plan[0][3]
    assert len(plan) == 1, "the index gives the order, without sorting"


def test_threads_share_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:

        def write() -> None:
            for number in range(20):
                journal.add_alert(alert(number), ["console"])
                for each in journal.pending("console", 2):
                    journal.mark_delivered(each.event_id, "console")

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert journal.counts().alerts == 80


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4
sys.path.insert(0, sys.argv[2])
from test_journal import ALERT
from semedge.journal import Journal

with Journal(Path(sys.argv[1])) as journal:
    journal.start_run("sim:1", "ab" * 32, 2.0)
    while True:
        alert = replace(ALERT, event_id=uuid4().hex)
        journal.add_alert(alert, ["console"])
        print(alert.event_id, flush=True)
        journal.mark_delivered(alert.event_id, "console")
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    acknowledged: list[str] = []
    for lines in (1, 30, 200):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip() for _ in range(lines)]
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().splitlines()
            acknowledged += [line for line in rest if len(line) == 32]
        finally:
            process.kill()
            process.wait(10)
        assert process.returncode == -signal.SIGKILL
        with Journal(path) as journal:
            stored = {each for (each,) in rows(path, "SELECT event_id FROM alerts")}
            assert set(acknowledged) <= stored
            # Only the alert at hand can be stored and not yet marked, one each kill.
            assert journal.counts().pending <= 3
    assert len(acknowledged) >= 231
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    orphans = "SELECT count(*) FROM alerts LEFT JOIN deliveries USING (alert_id) WHERE sink IS NULL"
    assert rows(path, orphans) == [(0,)]


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
            journal.add_alert(alert(number), ["console"])


def truncated(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    filled(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 20_000)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (foreign, "is a database of another program; choose another file"),
        (marked_by_another_program, "is a database of another program; choose another file"),
        (newer, "has version 99, and this semedge knows versions up to 1; update semedge"),
        (lambda path: path.write_bytes(b"no database at all" * 500), "not a database"),
        (truncated, "could not be read"),
        (overwritten, "could not be read"),
        (lambda path: path.mkdir(), "could not be opened"),
    ],
)
def test_files_that_are_no_journal_are_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(SemedgeError, match=said) as caught:
        Journal(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before is None or path.read_bytes() == before


def test_a_damaged_event_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.add_alert(alert(), ["console"])
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alerts SET event = '{\"event_id\": 1'")
    connection.commit()
    connection.close()
    with Journal(path) as journal, pytest.raises(SemedgeError, match="could not be read"):
        journal.pending("console", 10)


def test_a_full_disk_is_said_and_what_was_acknowledged_stays(small_disk: Path) -> None:
    path = small_disk / "journal.sqlite"
    acknowledged: list[str] = []

    def write_on(journal: Journal) -> None:
        for number in range(5000):
            each = alert(number)
            journal.add_alert(each, ["console"])
            acknowledged.append(each.event_id)

    with Journal(path) as journal:
        with pytest.raises(SemedgeError, match=r"written .*full.*; free some space"):
            write_on(journal)
        assert journal.counts().alerts == len(acknowledged) > 200
    with Journal(path) as journal:
        stored = {each.event_id for each in journal.pending("console", 5000)}
    assert stored == set(acknowledged)


def test_a_file_name_that_is_not_utf_8_is_kept(tmp_path: Path) -> None:
    source = os.fsdecode(b"line/fr\xe4me.png")
    named = replace(alert(), source=source)
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.start_run(source, "ab" * 32, 2.0)
        journal.add_alert(named, ["console"])
        journal.mark_failed(named.event_id, "console", f"no room for {source}")
        assert journal.pending("console", 1) == [named]


def test_times_are_written_to_the_microsecond() -> None:
    assert utc_text(0.000001) == "1970-01-01T00:00:00.000001Z"
