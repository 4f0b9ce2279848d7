"""What the journal keeps beside events."""

from __future__ import annotations

from dataclasses import dataclass

from semedge.core.event import Level


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
class Run:
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

    run: Run
    captured_at_s: float
    sequence: int
    score: float
    level: Level | None
    frames: int = 1


@dataclass(frozen=True)
class RetentionSettings:
    """What is kept.

    Attributes
    ----------
    pictures_days, scores_days, events_days
        Age beyond which pictures, scores and events go; events only once every sink took them.
    most_bytes
        Size of pictures and journal together beyond which the oldest pictures go, then the oldest
        scores, then the oldest delivered events.
    least_free_bytes
        Room on the disk below which no picture is written; no score below a quarter of it. Events
        are always written.
    scores_every_s
        As of `ScoreLog`.
    """

    pictures_days: float = 90.0
    scores_days: float = 365.0
    events_days: float = 3650.0
    most_bytes: int = 20_000_000_000
    least_free_bytes: int = 500_000_000
    scores_every_s: float = 0.0


KEEP = RetentionSettings()
