"""Records of the journal other than events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semedge.core.event import Level
from semedge.core.mark import GivenMark

DEFAULT_JOURNAL = Path("semedge-journal.sqlite")
"""The default journal, in the working directory."""


@dataclass(frozen=True)
class Counters:
    """Counters of a run so far.

    Attributes
    ----------
    frames_seen
        Frames that the camera produced: inspected, skipped and lost.
    frames_inspected
        Frames scored.
    frames_skipped
        Files that could not be decoded, and frames whose picture was not fit to be inspected.
    frames_lost
        Frames skipped because newer ones had arrived.
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
    """Numbers of runs, events, and pending and rejected deliveries in a journal."""

    runs: int
    events: int
    pending: int
    rejected: int


@dataclass(frozen=True)
class WatchRun:
    """A row of the table `runs`: a camera's frames in one process that one setup judged."""

    run_id: int
    camera: str


@dataclass(frozen=True)
class MarkRow:
    """A row of the table `marks`: somebody marked an event, or a frame that raised none.

    Attributes
    ----------
    at, who
        When (ISO-8601, UTC), and by whom.
    camera
        The camera that it is about.
    mark, note
        What it was found to be, and what the person wrote.
    event_id
        The event; None for a frame that raised none.
    frame
        Identifier of the frame that was kept; None where there was none to keep.
    """

    at: str
    who: str
    camera: str
    mark: GivenMark
    event_id: str | None
    frame: str | None
    note: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """The largest score of some consecutive frames, for the history.

    Attributes
    ----------
    run
        The run that they belong to.
    captured_at_s, sequence, score, level
        Values of the frame with the largest score.
    frames
        How many frames the row stands for.
    """

    run: WatchRun
    captured_at_s: float
    sequence: int
    score: float
    level: Level | None
    frames: int = 1
