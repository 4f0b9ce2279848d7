"""What the journal keeps beside events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semedge.core.event import Level

DEFAULT_JOURNAL = Path("semedge-journal.sqlite")
"""The journal, in the working directory, where none is named."""


@dataclass(frozen=True)
class Counters:
    """What a run has counted so far.

    Attributes
    ----------
    frames_seen
        Frames that the camera produced: inspected, skipped and lost.
    frames_inspected
        Frames scored.
    frames_skipped
        Files that could not be decoded, and frames whose picture was not fit to be inspected.
    frames_lost
        Frames passed over because newer ones were there.
    alerts
        Defects that reached the alarm level.
    frames_warned, frames_alarmed
        Frames whose level was a warning, and an alarm.
    """

    frames_seen: int = 0
    frames_inspected: int = 0
    frames_skipped: int = 0
    frames_lost: int = 0
    alerts: int = 0
    frames_warned: int = 0
    frames_alarmed: int = 0


@dataclass(frozen=True)
class JournalCounts:
    """How much a journal holds: runs, events, and deliveries still to be made or refused."""

    runs: int
    events: int
    pending: int
    rejected: int


@dataclass(frozen=True)
class WatchRun:
    """A camera's time in one process, as the journal keeps it."""

    run_id: int
    camera: str


@dataclass(frozen=True)
class ScoreRow:
    """The largest score of some frames in a row, for the history.

    Attributes
    ----------
    run
        The run that they belong to.
    captured_at_s, sequence, score, level
        Those of the frame with the largest score.
    frames
        How many frames it stands for.
    """

    run: WatchRun
    captured_at_s: float
    sequence: int
    score: float
    level: Level | None
    frames: int = 1
