"""The outputs of a camera's loop."""

from __future__ import annotations

from dataclasses import dataclass

from semedge.journal.journal import Journal
from semedge.journal.score_log import ScoreLog
from semedge.state.state import StationState
from semedge.station.event_pictures import EventPictures
from semedge.station.recorder import EventRecorder


@dataclass(frozen=True)
class LoopOutputs:
    """Outputs that the loops of a station share.

    Attributes
    ----------
    recorder, pictures
        Record the events, and write their pictures.
    scores
        Stores the score of every frame.
    journal
        Stores the counters.
    state
        Shows what the cameras do.
    """

    recorder: EventRecorder
    pictures: EventPictures
    scores: ScoreLog
    journal: Journal
    state: StationState
