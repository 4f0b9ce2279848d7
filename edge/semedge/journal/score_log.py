"""The history of the scores, collected frame by frame and stored in batches."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from semedge.core.errors import SemedgeError
from semedge.core.event import Level
from semedge.core.frame import Frame
from semedge.journal.journal import Journal
from semedge.journal.records import ScoreRow, WatchRun

MOST_WAITING = 50_000
"""Rows that wait while the journal cannot be written: some megabytes; older ones are lost."""


class ScoreLog:
    """Collects the score of every frame, from several threads.

    Parameters
    ----------
    journal
        Where `store` writes the scores.
    every_s
        Seconds of frames that one row stands for, with the largest of their scores; with 0 there
        is a row for each frame.
    """

    def __init__(self, journal: Journal, every_s: float = 0.0) -> None:
        self._journal = journal
        self._every_s = every_s
        self._lock = threading.Lock()
        self._rows: list[ScoreRow] = []
        self._open: dict[int, tuple[ScoreRow, float]] = {}
        self._paused = False

    def add(self, run: WatchRun, frame: Frame, score: float, level: Level | None) -> None:
        """Add a frame's score, unless paused."""
        row = ScoreRow(run, frame.captured_at_s, frame.sequence, score, level)
        with self._lock:
            if self._paused:
                return
            if not self._every_s:
                self._rows.append(row)
                return
            self._close_old()
            before, since_s = self._open.get(run.run_id, (None, time.monotonic()))
            if before is not None:
                worst = row if row.score > before.score else before
                row = replace(worst, frames=before.frames + 1)
            self._open[run.run_id] = row, since_s

    def store(self, *, ended: bool = False) -> None:
        """Write the complete rows to the disk, and with `ended` all of them."""
        with self._lock:
            self._close_old(ended)
            rows, self._rows = self._rows, []
        if not rows:
            return
        try:
            self._journal.add_scores(rows)
        except SemedgeError:
            with self._lock:
                self._rows = [*rows, *self._rows][-MOST_WAITING:]
            raise

    def set_paused(self, paused: bool) -> None:
        """Stop collecting scores and discard those that wait, or start again."""
        with self._lock:
            self._paused = paused
            if paused:
                self._rows.clear()
                self._open.clear()

    def _close_old(self, everything: bool = False) -> None:
        now_s = time.monotonic()
        for run_id, (row, since_s) in list(self._open.items()):
            if everything or now_s - since_s >= self._every_s:
                self._rows.append(row)
                del self._open[run_id]
