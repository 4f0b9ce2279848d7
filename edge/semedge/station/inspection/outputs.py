"""What a camera's loop writes to."""

from __future__ import annotations

from dataclasses import dataclass

from semedge.journal.journal import Journal
from semedge.journal.score_log import ScoreLog
from semedge.state.state import StationState
from semedge.station.event_pictures import EventPictures
from semedge.station.recorder import EventRecorder


@dataclass(frozen=True)
class LoopOutputs:
    """What the loops of a station share.

    Attributes
    ----------
    recorder, pictures
        Take the events, and their pictures.
    scores
        Takes the score of every frame.
    journal
        Takes the counters.
    state
        Shows what the cameras do now.
    """

    recorder: EventRecorder
    pictures: EventPictures
    scores: ScoreLog
    journal: Journal
    state: StationState
