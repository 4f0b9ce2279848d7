"""Events on their way to the disk and to the sinks, and their pictures."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.event import Event, Kind, Level
from semedge.core.files import write_atomically
from semedge.core.frame import Frame
from semedge.inference.overlay import draw_overlay, encode_png
from semedge.inference.score_map import ScoreMap
from semedge.journal.journal import Journal
from semedge.journal.records import Run
from semedge.sinks.delivery import Delivery
from semedge.state.state import StationState

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pictures:
    """Paths of a frame's picture and of its heat map; None where one was not written."""

    frame: str | None = None
    overlay: str | None = None


class Recorder:
    """Stores events, wakes their delivery, and shows them; usable from every camera's thread.

    Parameters
    ----------
    station
        The station's name.
    journal, delivery
        Where events are stored, and who carries them on.
    state
        Where they are shown.
    pictures
        Folder of the pictures.

    Attributes
    ----------
    pictures_stopped, scores_stopped
        Whether the disk has no room for them.
    """

    def __init__(
        self,
        station: str,
        journal: Journal,
        delivery: Delivery,
        state: StationState,
        pictures: Path,
    ) -> None:
        self.station = station
        self.journal = journal
        self.state = state
        self._delivery = delivery
        self.pictures = pictures.absolute()
        self.pictures_stopped = False
        self.scores_stopped = False

    def tell(self, event: Event, run: Run | None = None) -> Event:
        """Store an event, have it delivered, and show it; the event with its number."""
        numbered = self.journal.add_event(event, self._delivery.sink_names, run)
        self._delivery.wake()
        self.state.add_event(numbered)
        return numbered

    def write_pictures(
        self, frame: Frame, score_map: ScoreMap, level: float, event_id: str
    ) -> Pictures:
        """Write the frame and its heat map, where there is room."""
        if self.pictures_stopped:
            return Pictures()
        captured = datetime.fromtimestamp(frame.captured_at_s, timezone.utc)
        folder = self.pictures / f"{captured:%Y-%m-%d}"
        stem = f"{captured:%H%M%S}-{frame.sequence}-{event_id[:12]}"
        return Pictures(
            _write_picture(folder / f"{stem}-frame.png", frame.image),
            _write_picture(
                folder / f"{stem}-overlay.png", draw_overlay(frame.image, score_map, level)
            ),
        )


class Happening:
    """Something that starts and ends, each told once, such as a camera that fails.

    Parameters
    ----------
    recorder
        Takes the events.
    kind, code
        What happens.
    camera
        Name of the camera; empty for the whole station.
    level
        How bad it is.
    """

    def __init__(
        self, recorder: Recorder, kind: Kind, code: str, camera: str = "", level: Level = "alarm"
    ) -> None:
        self._recorder = recorder
        self._kind, self._code, self._camera, self._level = kind, code, camera, level
        self._started: tuple[Event, float] | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it has started and not ended."""
        return self._started is not None

    def start(self, message: str, **details: Any) -> None:
        """Tell that it starts; nothing where it goes on already."""
        if self._started is not None:
            return
        event = one_message(
            self._recorder.station,
            self._kind,
            self._code,
            message,
            camera=self._camera,
            level=self._level,
            details=details,
        )
        event = self._recorder.tell(replace(event, phase="start"))
        self._started = event, time.monotonic()

    def end(self, message: str, **details: Any) -> None:
        """Tell that it is over; nothing where it has not started."""
        if self._started is None:
            return
        started, started_s = self._started
        self._started = None
        self._recorder.tell(
            replace(
                started,
                phase="end",
                message=message,
                raised_at_s=time.time(),
                duration_s=time.monotonic() - started_s,
                details={**started.details, **details},
            )
        )


def one_message(
    station: str,
    kind: Kind,
    code: str,
    message: str,
    *,
    camera: str = "",
    level: Level | None = None,
    details: Mapping[str, Any] | None = None,
) -> Event:
    """An event that is over when it is told."""
    now_s = time.time()
    return Event(
        event_id=uuid.uuid4().hex,
        kind=kind,
        phase="end",
        code=code,
        message=message,
        station=station,
        camera=camera,
        started_at_s=now_s,
        raised_at_s=now_s,
        level=level,
        details=details or {},
    )


def _write_picture(path: Path, image: NDArray) -> str | None:
    try:
        write_atomically(path, encode_png(image))
    except SemedgeError as error:
        logger.warning(f"The event has no picture: {error}", extra={"event": "no-picture"})
        return None
    return str(path)
