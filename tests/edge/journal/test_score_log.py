"""The history has every score, or the largest of each while."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.journal.journal import Journal
from semedge.journal.records import WatchRun
from semedge.journal.score_log import ScoreLog


def frame(number: int) -> Frame:
    return Frame(np.zeros((2, 2), np.uint8), number, float(number), "test")


def stored(path: Path) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            "SELECT run_id, sequence, frames, score, level FROM scores ORDER BY rowid"
        ).fetchall()
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_every_score_is_stored(path: Path) -> None:
    with Journal(path) as journal:
        run = journal.start_run("left", "sim:1", "ab" * 32, 2.0)
        log = ScoreLog(journal)
        log.add(run, frame(0), 0.5, None)
        log.add(run, frame(1), 2.5, "alarm")
        log.store()
        log.store()
        assert stored(path) == [(1, 0, 1, 0.5, None), (1, 1, 1, 2.5, "alarm")]


def test_the_largest_of_each_interval_is_stored_for_each_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr("semedge.journal.score_log.time.monotonic", lambda: now_s)
    with Journal(path) as journal:
        left, right = (
            journal.start_run(name, "sim:1", "ab" * 32, 2.0) for name in ("left", "right")
        )
        log = ScoreLog(journal, every_s=10.0)
        log.add(left, frame(0), 0.5, None)
        log.add(left, frame(1), 2.5, "alarm")
        log.add(right, frame(7), 0.1, None)
        now_s = 9.0
        log.add(left, frame(2), 1.5, None)
        log.store()
        assert stored(path) == []
        now_s = 10.0
        log.add(left, frame(3), 0.25, None)
        log.store()
        assert stored(path) == [(1, 1, 3, 2.5, "alarm"), (2, 7, 1, 0.1, None)]
        log.store(ended=True)
        assert stored(path)[2:] == [(1, 3, 1, 0.25, None)]


def test_scores_wait_for_a_journal_that_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semedge.journal.score_log.MOST_WAITING", 3)
    with Journal(path) as journal:
        log = ScoreLog(journal)
        for number in range(5):
            log.add(WatchRun(99, "unknown"), frame(number), 0.5, None)
        with pytest.raises(SemedgeError, match=r"journal\.sqlite .*FOREIGN KEY"):
            log.store()
        run = journal.start_run("left", "sim:1", "ab" * 32, 2.0)
        log.set_paused(True)
        log.add(run, frame(8), 0.5, None)
        log.set_paused(False)
        log.add(run, frame(9), 0.5, None)
        log.store()
        assert stored(path) == [(1, 9, 1, 0.5, None)]
