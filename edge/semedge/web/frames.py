"""The last frames of the station and the marked ones, as the page shows them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Path
from fastapi.responses import Response

from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage
from semedge.core.images import read_picture
from semedge.core.mark import FRAME_ID, MARKS, Mark
from semedge.core.timing import utc_text
from semedge.inference.overlay import view_8_bit
from semedge.journal.marked_frames import MarkedFrame, MarkedFrames
from semedge.journal.reader import JournalReader
from semedge.state.document import finite
from semedge.state.recent_frames import HOLD_S, RecentFrame, RecentFrames
from semedge.web.history import READING

Size = Literal["thumbnail", "frame"]
LONGEST_SIDE_PX: dict[Size, int] = {"thumbnail": 240, "frame": 1280}
JPEG_QUALITY = 80

FrameId = Annotated[str, Path(pattern=FRAME_ID)]


class FramesView:
    """What the page shows of the last frames and of the marked ones.

    Parameters
    ----------
    recent
        The last frames.
    marked
        The marked frames.
    journal
        The journal with the marks.
    """

    def __init__(self, recent: RecentFrames, marked: MarkedFrames, journal: JournalReader) -> None:
        self._recent = recent
        self._marked = marked
        self._journal = journal
        self._drawing = threading.Lock()

    def recent_document(self, camera: str | None, *, hold: bool) -> dict[str, Any]:
        """The last frames, newest first; with `hold` they stay for a while."""
        frames = self._recent.hold(camera) if hold else self._recent.newest_first(camera)
        marks = self._marks_of(frames)
        return {
            "frames": [_recent(frame, marks.get(frame.frame_id)) for frame in frames],
            "most_frames": self._recent.most_frames,
            "held_until": utc_text(time.time() + HOLD_S) if hold else None,
        }

    def marked_document(self) -> dict[str, Any]:
        """The frames that are kept with their marks, the newest capture first."""
        frames = self._marked.all()[::-1]
        counts = Counter(frame.mark for frame in frames)
        return {
            "counts": {mark: counts[mark] for mark in MARKS},
            "frames": [_marked(frame) for frame in frames],
            "bytes": self._marked.size_bytes(),
            "most_bytes": self._marked.most_bytes,
        }

    def jpeg(self, identifier: str, size: Size) -> bytes | None:
        """A picture of a recent frame as it was inspected, or of a marked one as it is kept.

        None where the frame is gone or damaged.
        """
        # One at a time, so that a page full of thumbnails leaves the inspection its cores.
        with self._drawing:
            recent = self._recent.find(identifier)
            if recent is not None:
                return _jpeg(recent.inspected_picture(), LONGEST_SIDE_PX[size])
            kept = self._marked.picture(identifier)
            try:
                return (
                    None
                    if kept is None
                    else _jpeg(read_picture(kept).picture, LONGEST_SIDE_PX[size])
                )
            except SemedgeError:
                return None

    def _marks_of(self, frames: Sequence[RecentFrame]) -> dict[str, Mark]:
        """The marks of frames and of their alerts; none where the journal cannot be read."""
        events = {each.event_id for each in frames if each.event_id is not None}
        alone = [each.frame_id for each in frames if each.event_id is None]
        try:
            of_events = self._journal.marks_of("event_id", sorted(events))
            of_frames = self._journal.marks_of("frame", alone)
        except SemedgeError:
            return {}
        marked_by_event = {
            each.frame_id: of_events[each.event_id]
            for each in frames
            if each.event_id is not None and each.event_id in of_events
        }
        return of_frames | marked_by_event


def add_frames(app: FastAPI, view: FramesView) -> None:
    """Add the paths of the frames to an application."""

    @app.api_route("/api/frames", methods=READING)
    def frames(camera: str | None = None, hold: bool = False) -> Any:
        return view.recent_document(camera, hold=hold)

    @app.api_route("/api/marks", methods=READING)
    def marks() -> Any:
        return view.marked_document()

    @app.api_route("/frames/{frame_id}/{size}.jpg", methods=READING)
    def frame(frame_id: FrameId, size: Size) -> Response:
        content = view.jpeg(frame_id, size)
        if content is None:
            raise HTTPException(404, "This frame is not among the last ones.")
        return Response(content, media_type="image/jpeg")


def _recent(frame: RecentFrame, mark: Mark | None) -> dict[str, Any]:
    setup = frame.setup
    return {
        "id": frame.frame_id,
        "camera": frame.camera,
        "captured_at": utc_text(frame.captured_at_s),
        "sequence": frame.sequence,
        "width_px": frame.shape[1],
        "height_px": frame.shape[0],
        "score": finite(frame.score),
        "level": frame.level,
        "verdict": frame.level or "good",
        "alarm_level": None if setup is None else setup.levels.alarm,
        "recipe": None if setup is None else setup.recipe,
        "event_id": frame.event_id,
        "mark": None if mark is None else mark.to_document(),
    }


def _marked(frame: MarkedFrame) -> dict[str, Any]:
    return {
        "id": frame.frame_id,
        "event_id": frame.event_id,
        "camera": frame.camera,
        "captured_at": utc_text(frame.captured_at_s),
        "recipe": frame.recipe,
        "score": frame.score,
        "alarm_level": frame.alarm_level,
        "mark": frame.mark,
        "marked_at": frame.marked_at,
        "marked_by": frame.marked_by,
        "note": frame.note,
    }


def _jpeg(image: AnyImage, longest_side_px: int) -> bytes:
    height, width = image.shape[:2]
    scale = longest_side_px / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(  # type: ignore[assignment]  # of the same type as before
            image, size, interpolation=cv2.INTER_AREA
        )
    picture = np.ascontiguousarray(view_8_bit(image))
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return content.tobytes()
