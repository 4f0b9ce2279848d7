"""The journal keeps what it acknowledged, whatever happens to the process or the disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from journal_support import event, rows, start_run

from semedge.core.errors import SemedgeError
from semedge.journal.journal import Journal
from semedge.journal.records import Counters, JournalCounts, ScoreRow
from semedge.journal.schema import APPLICATION_ID, MIGRATIONS


def test_events_wait_for_each_sink_until_it_took_them(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        run = start_run(journal)
        first, second = (
            journal.add_event(event(sequence), ["console", "mqtt"], run) for sequence in (1, 2)
        )
        assert journal.pending("console", 10) == [first, second]
        assert journal.pending("console", 1) == [first]
        journal.mark_delivered(first, "console")
        assert journal.pending("console", 10) == [second]
        assert journal.pending("mqtt", 10) == [first, second]
        assert journal.pending("email", 10) == []
        assert journal.pending_counts() == {"console": 1, "mqtt": 2}
        assert journal.counts() == JournalCounts(runs=1, events=2, pending=3, rejected=0)


def test_events_are_numbered_in_their_order_and_no_number_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        stored = [journal.add_event(event(), []) for _ in range(3)]
        assert [each.number for each in stored] == [1, 2, 3]
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM events")
    connection.commit()
    connection.close()
    with Journal(path) as journal:
        assert journal.add_event(event(), []).number == 4


def test_what_failed_keeps_its_place_and_what_was_rejected_makes_room(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        poison, good = journal.add_event(event(), ["mqtt"]), journal.add_event(event(), ["mqtt"])
        journal.mark_failed(poison, "mqtt", "broker away")
        journal.mark_failed(poison, "mqtt", "broker away again")
        assert journal.pending("mqtt", 1) == [poison]
        journal.mark_rejected(poison, "mqtt", "not understood")
        assert journal.pending("mqtt", 9) == [good]
        journal.mark_delivered(good, "mqtt")
        assert journal.counts() == JournalCounts(runs=0, events=2, pending=0, rejected=1)
    assert rows(path, "SELECT attempts, last_error, delivered_at IS NULL FROM deliveries") == [
        (3, "not understood", 1),
        (1, None, 0),
    ]


def test_an_event_and_its_deliveries_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        with pytest.raises(SemedgeError, match=r"journal\.sqlite .*UNIQUE"):
            journal.add_event(event(), ["console", "console"])
        assert journal.counts() == JournalCounts(runs=0, events=0, pending=0, rejected=0)
        journal.add_event(event(), ["console"])
        assert journal.counts() == JournalCounts(runs=0, events=1, pending=1, rejected=0)


def test_runs_hold_their_counters(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        first = start_run(journal)
        journal.add_event(event(), [], first)
        second = journal.start_run("right", "sim:2", "ab" * 32, 2.5)
        journal.count(first, Counters(9, 6, 2, 1, 1))
        journal.count(second, Counters(1, 1, 0, 0, 0))
        journal.count(first, Counters(12, 8, 2, 2, 1, 3, 2), ended=True)
    assert rows(
        path,
        "SELECT camera, source, threshold, frames_seen, frames_inspected, frames_skipped,"
        " frames_lost, alerts, frames_warned, frames_alarmed, ended_at IS NULL FROM runs"
        " ORDER BY run_id",
    ) == [
        ("left", "sim:1", 2.0, 12, 8, 2, 2, 1, 3, 2, 0),
        ("right", "sim:2", 2.5, 1, 1, 0, 0, 0, 0, 0, 1),
    ]
    assert rows(path, "SELECT run_id FROM events") == [(first.run_id,)]


def test_the_file_is_in_wal_mode_and_the_outbox_has_its_index(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "journal.sqlite"
    with Journal(path):
        assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    plan = rows(
        path,
        "EXPLAIN QUERY PLAN SELECT number FROM deliveries WHERE sink = 'console'"
        " AND delivered_at IS NULL AND rejected_at IS NULL ORDER BY number",
    )
    assert "deliveries_pending" in plan[0][3]
    assert len(plan) == 1, "the index gives the order, without sorting"


def test_threads_share_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:

        def write() -> None:
            for number in range(20):
                journal.add_event(event(number), ["console"])
                for each in journal.pending("console", 2):
                    journal.mark_delivered(each, "console")

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert journal.counts().events == 80


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4
sys.path.insert(0, sys.argv[2])
from events import EVENT
from semedge.journal.journal import Journal

with Journal(Path(sys.argv[1])) as journal:
    run = journal.start_run("left", "sim:1", "ab" * 32, 2.0)
    while True:
        event = journal.add_event(replace(EVENT, event_id=uuid4().hex), ["console"], run)
        print(event.event_id, flush=True)
        journal.mark_delivered(event, "console")
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    acknowledged: list[str] = []
    for lines in (1, 30, 200):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parents[1])],
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
            stored = {each for (each,) in rows(path, "SELECT event_id FROM events")}
            assert set(acknowledged) <= stored
            # Only the event at hand can be stored and not yet marked, one each kill.
            assert journal.counts().pending <= 3
    assert len(acknowledged) >= 231
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    orphans = "SELECT count(*) FROM events LEFT JOIN deliveries USING (number) WHERE sink IS NULL"
    assert rows(path, orphans) == [(0,)]


def test_scores_settings_and_audit_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        run = start_run(journal)
        journal.add_scores(
            [ScoreRow(run, 1.5, 3, 0.25, None), ScoreRow(run, 2.5, 9, 4.5, "alarm", 6)]
        )
        journal.add_audit("page", "left", "levels", {"alarm": 2.0}, {"alarm": 3.0})
        assert journal.setting("left", "levels") is None
        journal.save_setting("left", "levels", {"alarm": 3.0})
        journal.save_setting("left", "levels", {"alarm": 3.5})
        journal.save_setting("right", "levels", [1])
    with Journal(path) as journal:
        assert journal.setting("left", "levels") == {"alarm": 3.5}
        journal.save_setting("left", "levels", None)
        assert journal.setting("left", "levels") is None
        assert journal.setting("right", "levels") == [1]
    assert rows(path, "SELECT captured_at, sequence, frames, score, level FROM scores") == [
        ("1970-01-01T00:00:01.500000Z", 3, 1, 0.25, None),
        ("1970-01-01T00:00:02.500000Z", 9, 6, 4.5, "alarm"),
    ]
    assert rows(path, "SELECT who, camera, action, before, after FROM audit") == [
        ("page", "left", "levels", '{"alarm": 2.0}', '{"alarm": 3.0}')
    ]


def test_an_event_is_acknowledged_once_and_only_where_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        stored = journal.add_event(event(), [])
        journal.acknowledge(stored.event_id, "first")
        journal.acknowledge(stored.event_id, "second")
        with pytest.raises(SemedgeError, match=r"'nothing'.*`semedge history`"):
            journal.acknowledge("nothing", "first")
    assert rows(path, "SELECT event_id, who FROM acknowledgements") == [(stored.event_id, "first")]


def test_what_a_kill_left_without_its_end_is_known(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        over, open_ = event(1), event(2)
        journal.add_event(over, [])
        journal.add_event(replace(over, phase="end"), [])
        journal.add_event(open_, [])
        update = journal.add_event(replace(open_, phase="update"), [])
        assert journal.unended_events() == [update]


def test_a_file_name_that_is_not_utf_8_is_stored(tmp_path: Path) -> None:
    source = os.fsdecode(b"line/fr\xe4me.png")
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.start_run("left", source, "ab" * 32, 2.0)
        stored = journal.add_event(replace(event(), source=source), ["console"])
        journal.mark_failed(stored, "console", f"no room for {source}")
        assert journal.pending("console", 1) == [stored]
