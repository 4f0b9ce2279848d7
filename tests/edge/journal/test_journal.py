"""The journal keeps what it acknowledged, whatever happens to the process or the disk."""

from __future__ import annotations

import contextlib
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

import jsonschema
import pytest
from events import EVENT
from faults import Fault

from semedge.core.errors import SemedgeError
from semedge.core.event import Event, event_schema
from semedge.journal.database import UnwritableError
from semedge.journal.journal import Journal
from semedge.journal.records import Counters, JournalCounts, ScoreRow, WatchRun
from semedge.journal.schema import APPLICATION_ID, MIGRATIONS
from semedge.journal.write_buffer import RESERVE_BYTES


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
        (newer, r"version 99\b.* to 3; update semedge"),
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


def fill(folder: Path) -> Path:
    """Use up the space of the disk."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65_536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"0" * size)
    return filler


@pytest.mark.fault(Fault.DISK)
def test_on_a_full_disk_no_event_is_lost_and_their_order_stays(small_disk: Path) -> None:
    path = small_disk / "journal.sqlite"
    with Journal(path) as journal:
        stored = [journal.add_event(event(0), ["console"])]
        filler = fill(small_disk)
        for number in range(1, 1000):
            stored.append(journal.add_event(event(number), ["console"]))
        assert journal.has_buffered
        assert [each.number for each in stored] == list(range(1, 1001))
        with pytest.raises(UnwritableError, match=r"full.*; free some space"):
            journal.flush_buffer()
        fill(small_disk)
        for expected in stored[:950]:
            (taken,) = journal.pending("console", 1)
            assert taken == expected
            journal.mark_delivered(taken, "console")
        assert journal.pending("console", 100) == stored[950:]
        assert journal.pending_counts() == {"console": 50}
        filler.unlink()
        journal.flush_buffer()
        assert not journal.has_buffered
        stored.append(journal.add_event(event(1000), ["console"]))
    with Journal(path) as journal:
        assert journal.pending("console", 100) == stored[950:]
        assert journal.counts() == JournalCounts(runs=0, events=1001, pending=51, rejected=0)
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(
        path, "SELECT min(attempts), max(attempts) FROM deliveries WHERE number <= 950"
    ) == [(1, 1)]


@pytest.mark.fault(Fault.DISK)
def test_room_is_reserved_for_events_and_taken_again(small_disk: Path) -> None:
    path = small_disk / "journal.sqlite"
    reserve = small_disk / "journal.sqlite-reserve"
    with Journal(path) as journal:
        assert reserve.stat().st_size == RESERVE_BYTES
        filler = fill(small_disk)
        run_id = None
        for number in range(100):
            if not reserve.exists():
                break
            run_id = journal.add_event(event(number), [])
        assert run_id is not None
        assert not reserve.exists()
        assert not journal.has_buffered, "the reserve took the event"
        filler.unlink()
    Journal(path).close()
    assert reserve.exists()


def test_what_another_process_stored_meanwhile_is_no_hindrance(small_disk: Path) -> None:
    path = small_disk / "journal.sqlite"
    with Journal(path) as journal, Journal(path) as other:
        first = journal.add_event(event(1), ["console"])
        filler = fill(small_disk)
        while not journal.has_buffered:
            journal.add_event(event(2), [])
        buffered = journal.add_event(event(3), ["console"])
        filler.unlink()
        for _ in range(5):
            other.add_event(event(4), [])
        journal.flush_buffer()
        assert [each.sequence for each in journal.pending("console", 9)] == [1, 3]
        assert first.number < buffered.number
    assert rows(path, "SELECT count(*), count(DISTINCT number) FROM events")[0][0] > 7


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
