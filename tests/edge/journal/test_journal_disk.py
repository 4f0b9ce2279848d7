"""A journal on a disk that is full."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from faults import Fault
from journal_support import event, rows

from semedge.journal.database import UnwritableError
from semedge.journal.journal import Journal
from semedge.journal.records import JournalCounts
from semedge.journal.write_buffer import RESERVE_BYTES


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
