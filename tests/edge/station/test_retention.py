"""A disk that fills stops pictures, then scores, and never an event; what is old goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from events import EVENT
from faults import Fault
from scripted import Collector

from semedge.journal.journal import Journal
from semedge.journal.pruning import shrink_to, used_bytes
from semedge.journal.records import ScoreRow
from semedge.sinks.delivery import Delivery
from semedge.state.state import StationState
from semedge.station.recorder import EventRecorder, OngoingEvent
from semedge.station.retention import DAY_S, Retention, RetentionSettings

MB = 1_000_000


class Bench:
    """A journal, its pictures, and their retention."""

    def __init__(self, folder: Path, **settings: float) -> None:
        self.journal = Journal(folder / "journal.sqlite")
        self.state = StationState("line 4", ["left"])
        delivery = Delivery(self.journal, [Collector()])
        recorder = EventRecorder("line 4", self.journal, delivery, self.state)
        self.pictures = folder / "pictures"
        self.retention = Retention(
            RetentionSettings(**settings),  # type: ignore[arg-type]
            self.journal,
            self.pictures,
            OngoingEvent(recorder, "health", "disk-full"),
        )

    def picture(self, name: str, size_bytes: int = 1000, age_days: float = 0.0) -> Path:
        path = self.pictures / "2026-11-24" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0" * size_bytes)
        changed_s = time.time() - age_days * DAY_S
        os.utime(path, (changed_s, changed_s))
        return path

    def stopped(self) -> tuple[bool, bool]:
        """Whether pictures and scores stop now."""
        disk = self.retention.check_disk()
        return disk.pictures_stopped, disk.scores_stopped

    def reported(self) -> list[tuple[str, str]]:
        return [(event.code, event.phase) for event in self.state.snapshot().events]


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(folder: Path, **settings: float) -> Bench:
        benches.append(Bench(folder, **settings))
        return benches[-1]

    yield make
    for bench in benches:
        bench.journal.close()


@pytest.mark.fault(Fault.DISK)
def test_a_disk_that_fills_stops_pictures_then_scores(
    small_disk: Path, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench(small_disk, least_free_bytes=3 * MB)
    assert bench.stopped() == (False, False)
    assert bench.reported() == []
    filler = small_disk / "filler"
    filler.write_bytes(b"0" * int(2.5 * MB))
    assert bench.stopped() == (True, False)
    disk = bench.retention.check_disk()
    assert bench.reported() == [("disk-full", "start")]
    assert disk.free_bytes is not None
    assert disk.free_bytes < 3 * MB
    filler.write_bytes(b"0" * int(4.3 * MB))
    assert bench.stopped() == (True, True)
    assert bench.journal.add_event(EVENT, []).number == 2
    # A little room is not enough to begin again: the pictures would fill it at once.
    filler.write_bytes(b"0" * int(1.5 * MB))
    assert bench.stopped() == (True, False)
    filler.unlink()
    assert bench.stopped() == (False, False)
    assert bench.reported() == [("disk-full", "start"), ("disk-full", "end")]


def test_old_pictures_go_and_nothing_else_in_their_folder(
    tmp_path: Path, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench(tmp_path, pictures_days=10)
    old, young = bench.picture("old", age_days=11), bench.picture("young", age_days=9)
    other = bench.pictures / "notes.txt"
    other.write_text("other")
    bench.retention.clean()
    assert [old.exists(), young.exists(), other.exists()] == [False, True, True]


def test_a_clock_that_jumped_makes_nothing_old(
    tmp_path: Path, make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(tmp_path, pictures_days=10)
    young = bench.picture("young")
    real = time.time
    monkeypatch.setattr("semedge.station.retention.time.time", lambda: real() + 400 * DAY_S)
    bench.retention.clean()
    assert young.exists()


@pytest.mark.fault(Fault.SMALL_DISK)
def test_after_a_jump_of_the_clock_the_size_is_still_kept(
    tmp_path: Path, make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(tmp_path, most_bytes=3 * MB)
    pictures = [bench.picture(f"p{day}", MB, age_days=day) for day in range(6)]
    real = time.time
    monkeypatch.setattr("semedge.station.retention.time.time", lambda: real() + 400 * DAY_S)
    bench.retention.clean()
    assert [path.exists() for path in pictures] == [True, True, False, False, False, False]


@pytest.mark.fault(Fault.SMALL_DISK)
def test_on_a_short_disk_the_oldest_pictures_make_room(
    small_disk: Path, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench(small_disk, least_free_bytes=int(1.5 * MB))
    pictures = [bench.picture(f"p{day}", MB, age_days=9 - day) for day in range(4)]
    assert bench.stopped() == (False, False)
    assert bench.reported() == []
    assert not pictures[0].exists()
    assert pictures[-1].exists()
    # Where another program fills the disk, all pictures go, and then none is written.
    for _ in range(2):
        with contextlib.suppress(OSError):
            (small_disk / "filler").write_bytes(b"0" * 6 * MB)
        bench.retention.check_disk()
    assert bench.stopped()[0]
    assert not any(path.exists() for path in pictures)


def test_the_limits_follow_the_disk(small_disk: Path, make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(small_disk)
    assert bench.stopped() == (False, False)
    for day in range(4):
        bench.picture(f"p{day}", MB, age_days=9 - day)
    bench.retention.clean()
    assert len(list(bench.pictures.glob("*/*.png"))) == 3, "half of the disk"


def test_a_folder_that_is_gone_is_no_fault(
    tmp_path: Path, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench(tmp_path / "line", least_free_bytes=0)
    shutil.rmtree(tmp_path / "line")
    assert bench.stopped() == (False, False)


def test_events_of_a_removed_sink_are_forgotten(
    tmp_path: Path, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench(tmp_path)
    journal, now_s = bench.journal, time.time()
    old = journal.add_event(event_at(now_s - 40 * DAY_S), ["collector", "removed"])
    journal.add_event(event_at(now_s - 3 * DAY_S), ["removed"])
    journal.forget_sinks_but(["collector"], now_s - 30 * DAY_S)
    assert journal.pending_counts() == {"collector": 1, "removed": 1}
    journal.mark_delivered(old, "collector")
    assert journal.pending_counts() == {"removed": 1}


def test_too_many_pictures_go_oldest_first(
    tmp_path: Path, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench(tmp_path, most_bytes=3 * MB)
    pictures = [bench.picture(f"p{day}", MB, age_days=day) for day in range(6)]
    bench.retention.clean()
    assert [path.exists() for path in pictures] == [True, True, False, False, False, False]


def event_at(time_s: float) -> object:
    return replace(EVENT, event_id=uuid.uuid4().hex, raised_at_s=time_s)


def test_old_scores_and_settled_events_go(tmp_path: Path, make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(tmp_path, scores_days=10, events_days=20)
    journal, now_s = bench.journal, time.time()
    run = journal.start_run("left", "sim:1", "ab" * 32, 2.0)
    journal.add_scores(
        [ScoreRow(run, now_s - days * DAY_S, days, 0.5, None) for days in (30, 11, 9, 0)]
    )
    old = [journal.add_event(event_at(now_s - 30 * DAY_S), ["collector"]) for _ in range(2)]
    young = journal.add_event(event_at(now_s - 10 * DAY_S), ["collector"])
    journal.mark_delivered(old[0], "collector")
    journal.mark_delivered(young, "collector")
    journal.acknowledge(old[0].event_id, "page")
    bench.retention.clean()
    connection = sqlite3.connect(journal.path)
    assert connection.execute("SELECT sequence FROM scores ORDER BY rowid").fetchall() == [
        (9,),
        (0,),
    ]
    assert connection.execute("SELECT number FROM events ORDER BY number").fetchall() == [
        (2,),
        (3,),
    ]
    assert connection.execute("SELECT count(*) FROM acknowledgements").fetchone() == (0,)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    assert [event.number for event in journal.pending("collector", 9)] == [old[1].number]


def test_a_journal_that_is_too_large_loses_scores_before_events(
    tmp_path: Path, make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semedge.journal.pruning.BATCH_ROWS", 50)
    bench = make_bench(tmp_path)
    journal = bench.journal
    run = journal.start_run("left", "sim:1", "ab" * 32, 2.0)
    journal.add_scores([ScoreRow(run, float(number), number, 0.5, None) for number in range(9000)])
    for number in range(100):
        stored = journal.add_event(event_at(float(number)), ["collector"])
        if number != 7:
            journal.mark_delivered(stored, "collector")
    full = used_bytes(journal)
    shrink_to(journal, full - 100_000)
    connection = sqlite3.connect(journal.path)
    (scores, events) = connection.execute(
        "SELECT (SELECT count(*) FROM scores), (SELECT count(*) FROM events)"
    ).fetchone()
    assert 0 < scores < 9000
    assert events == 100
    shrink_to(journal, 0)
    assert connection.execute("SELECT count(*) FROM scores").fetchone() == (0,)
    assert connection.execute("SELECT number FROM events ORDER BY number").fetchall() == [(8,)]
    connection.close()
