"""Years of scores and a long outage hold up neither a start nor an alert."""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from events import EVENT
from faults import Fault

from semedge.core.errors import SemedgeError
from semedge.core.timing import utc_text
from semedge.journal.database import DamageCheck, Database
from semedge.journal.journal import Journal
from semedge.journal.pruning import drop_scores

Record = Callable[[str, object], None]


def fill_scores(path: Path, rows: int) -> float:
    """Store one score a second until now; the time of the first."""
    first_s = time.time() - rows
    with Journal(path) as journal:
        run = journal.start_run("left", "sim:1", "ab" * 32, 2.0)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
        " INSERT INTO scores (run_id, captured_at, sequence, frames, score, level)"
        " SELECT ?, strftime('%Y-%m-%dT%H:%M:%S.000000Z', ? + i, 'unixepoch'), i, 1, 0.5, NULL"
        " FROM n",
        (rows, run.run_id, int(first_s)),
    )
    connection.execute("COMMIT")
    connection.close()
    return first_s


@pytest.mark.alone
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(5_000_000, marks=pytest.mark.fault(Fault.LONG_RUN)),
        pytest.param(50_000_000, marks=(pytest.mark.slow, pytest.mark.timeout(3600))),
    ],
)
def test_millions_of_scores_hold_up_neither_a_start_nor_an_alert(
    tmp_path: Path, rows: int, record_property: Record
) -> None:
    path = tmp_path / "journal.sqlite"
    first_s = fill_scores(path, rows)
    began_s = time.monotonic()
    with Journal(path) as journal:
        assert not journal.begin_watch()
        journal.unended_events()
        started_s = time.monotonic() - began_s
        check = DamageCheck(path)
        checking = threading.Thread(target=check.run)
        checking.start()
        closing = threading.Event()
        cleaning = threading.Thread(
            target=drop_scores,
            args=(journal, first_s + rows / 2, lambda: not closing.is_set()),
        )
        cleaning.start()
        waited_s = []
        for _ in range(200):
            event = replace(EVENT, event_id=uuid.uuid4().hex)
            before_s = time.monotonic()
            journal.add_event(event, ["plc"])
            waited_s.append(time.monotonic() - before_s)
            time.sleep(0.02)
        closing.set()
        check.stop()
        cleaning.join(10)
        checking.join(10)
        assert not cleaning.is_alive()
        assert not checking.is_alive()
        # Nothing is old: the search for it must not read the whole table.
        before_s = time.monotonic()
        drop_scores(journal, first_s - 1)
        assert time.monotonic() - before_s < 0.05
    record_property(f"start with {rows:,} scores", f"{started_s:.2f} s")
    quantile = statistics.quantiles(waited_s, n=20)[-1]
    record_property(
        f"alert while they are deleted and checked, of {rows:,}, 95 % and longest",
        f"{quantile * 1e3:.0f} and {max(waited_s) * 1e3:.0f} ms",
    )
    assert started_s < 3
    assert quantile < 0.05


@pytest.mark.alone
@pytest.mark.fault(Fault.LONG_RUN)
def test_pending_events_are_counted_in_memory(tmp_path: Path, record_property: Record) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal, journal.transaction() as connection:
        connection.executemany(
            "INSERT INTO events (number, event_id, kind, phase, code, level, camera, raised_at,"
            " document) VALUES (?, ?, 'defect', 'start', 'score', 'alarm', '', ?, '{}')",
            [(number, f"{number:032x}", utc_text(number)) for number in range(1, 100_001)],
        )
        connection.executemany(
            "INSERT INTO deliveries (number, sink) VALUES (?, 'plc')",
            [(number,) for number in range(1, 100_001)],
        )
    with Journal(path) as journal:
        began_s = time.perf_counter()
        for _ in range(100):
            assert journal.pending_counts() == {"plc": 100_000}
        each_s = (time.perf_counter() - began_s) / 100
    record_property("count of 100,000 pending events", f"{each_s * 1e3:.3f} ms")
    assert each_s < 0.001


def test_counts_follow_every_change(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    events = [replace(EVENT, event_id=uuid.uuid4().hex) for _ in range(4)]
    with Journal(path) as journal, Journal(path) as other:
        stored = [journal.add_event(each, ["plc", "mail"]) for each in events]
        journal.mark_failed(stored[0], "plc", "busy")
        journal.mark_delivered(stored[0], "plc")
        journal.mark_rejected(stored[1], "plc", "never")
        assert journal.pending_counts() == {"plc": 2, "mail": 4}
        other.add_event(replace(EVENT, event_id=uuid.uuid4().hex), ["plc"])
        journal.recount_pending()
        assert journal.pending_counts() == {"plc": 3, "mail": 4}


@pytest.mark.fault(Fault.DISK)
def test_counts_can_be_read_while_the_disk_is_full(small_disk: Path) -> None:
    with Journal(small_disk / "journal.sqlite") as journal:
        (small_disk / "journal.sqlite-reserve").unlink()
        with (small_disk / "filler").open("wb") as filler:
            try:
                while filler.write(b"0" * 65_536):
                    filler.flush()
            except OSError:
                pass
        faults: list[BaseException] = []
        closing = threading.Event()

        def count() -> None:
            try:
                while not closing.is_set():
                    journal.pending_counts()
            except BaseException as error:
                faults.append(error)

        counting = threading.Thread(target=count)
        counting.start()
        for _ in range(300):
            journal.add_event(replace(EVENT, event_id=uuid.uuid4().hex), ["plc"])
        closing.set()
        counting.join(10)
        assert faults == []
        assert journal.pending_counts() == {"plc": 300}
        (small_disk / "filler").unlink()
        journal.flush_buffer()
        assert journal.pending_counts() == {"plc": 300}


def test_only_a_watch_that_ended_by_itself_ended_cleanly(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.begin_watch()
        journal.add_event(EVENT, [])
        assert not journal.begin_watch()
        journal.end_watch()
        assert journal.begin_watch()
        journal.end_watch()
        journal.add_event(replace(EVENT, event_id=uuid.uuid4().hex), [])
        assert not journal.begin_watch()


def test_damage_of_a_large_journal_is_found_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.sqlite"
    fill_scores(path, 50_000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = b"\x7f" * 20_000
    path.write_bytes(bytes(content))
    with pytest.raises(SemedgeError, match="could not be read"):
        Database(path)
    monkeypatch.setattr("semedge.journal.database.CHECKED_BYTES", 1_000)
    Database(path).close()
    assert "could not be read" in DamageCheck(path).run()


def test_a_journal_that_was_deleted_or_replaced_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        assert journal.is_in_place
        path.rename(tmp_path / "moved.sqlite")
        assert not journal.is_in_place
        path.write_bytes(b"")
        assert not journal.is_in_place
