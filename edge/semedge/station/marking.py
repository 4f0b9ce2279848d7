"""Marking of alerts and frames: the mark is stored, and the frame is kept to learn from it."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.mark import NAMELESS, GivenMark, MarkName, frame_id
from semedge.core.section import Section
from semedge.core.timing import utc_text
from semedge.core.view import WHOLE, ViewSettings
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MOST_BYTES, MarkedFrame, MarkedFrames
from semedge.journal.marks import add_mark, newest_message
from semedge.journal.records import MarkRow
from semedge.state.recent_frames import MOST_BYTES as MOST_RECENT_BYTES
from semedge.state.recent_frames import MOST_FRAMES, RecentFrame, RecentFrames
from semedge.state.requests import MarkRequest

MARK_AGAIN = "mark it again"
WORDS: dict[GivenMark, str] = {
    "real": "real",
    "false-alarm": "a false alarm",
    "missed": "a missed defect",
    "none": "nothing",
}


class MarkSettings(Section):
    """`[marks]`: the last frames, which can be marked, and the frames that were."""

    recent_frames: int = Field(
        default=MOST_FRAMES,
        ge=0,
        le=2_000,
        description="Number of the last frames of the station that can be marked as missed; with "
        "0, none can.",
    )
    recent_bytes: int = Field(
        default=MOST_RECENT_BYTES,
        ge=0,
        description="Memory for these frames, above which the oldest are dropped.",
    )
    most_bytes: int = Field(
        default=MOST_BYTES,
        ge=0,
        description="Size of the folder of marked frames above which nothing more is marked; "
        "they are never deleted, and at most 2,000 are kept.",
    )


DEFAULT_MARKS = MarkSettings()


@dataclass(frozen=True)
class _Picture:
    """A frame's picture, and what is known of how it was judged."""

    png: bytes
    cut_off_px: tuple[int, int, int, int]
    recent: RecentFrame | None = None


class Marker:
    """Marks alerts and frames; usable from several threads.

    Parameters
    ----------
    journal
        Stores the marks, beside who gave them.
    marked
        Keeps the frames.
    recent
        The last frames; None where no station runs.
    view_of_camera
        Returns what is inspected of a camera's frames, for pictures that were cropped already.
    """

    def __init__(
        self,
        journal: Journal,
        marked: MarkedFrames,
        recent: RecentFrames | None = None,
        view_of_camera: Callable[[str], ViewSettings] = lambda camera: WHOLE,
    ) -> None:
        self._journal = journal
        self._marked = marked
        self._recent = recent
        self._view_of_camera = view_of_camera
        self._lock = threading.Lock()

    def mark(self, request: MarkRequest, who: str) -> str:
        """Carry out a request to mark; a sentence about the result.

        Raises `SemedgeError`, and leaves everything as it was, where it cannot be.
        """
        with self._lock:
            if request.event_id is not None:
                return self._mark_event(request, request.event_id, who)
            assert request.frame is not None
            return self._mark_frame(request, request.frame, who)

    def _mark_event(self, request: MarkRequest, event_id: str, who: str) -> str:
        event = newest_message(self._journal, event_id)
        if event.kind != "defect":
            raise SemedgeError(
                f"The event {event_id} is a {event.kind} event, and only defects are marked; give "
                "the event_id of a defect."
            )
        row = self._row(request, event.camera, who)
        if request.mark == "none":
            self._take_back(replace(row, event_id=event_id), self._marked.find_event(event_id))
            return f"The mark of event {event_id} was taken back."
        before = self._kept(event)
        picture = None if before is not None else self._picture_of(event)
        if before is not None:
            after: MarkedFrame | None = _marked_again(before, request.mark, row)
        elif picture is not None:
            after = _frame_of_event(event, request.mark, picture, row)
        else:
            after = None
        self._store(replace(row, event_id=event_id), before, after, picture)
        sentence = f"Event {event_id} is marked as {WORDS[request.mark]}"
        if after is None:
            return f"{sentence}; it has no picture any more, so nothing can be learned from it."
        return f"{sentence}, and its frame is kept."

    def _mark_frame(self, request: MarkRequest, identifier: str, who: str) -> str:
        before = self._marked.find(identifier)
        recent = None if self._recent is None else self._recent.find(identifier)
        event_id = next(
            (each.event_id for each in (before, recent) if each is not None and each.event_id), None
        )
        if event_id is not None:
            raise SemedgeError(
                f"The frame {identifier} raised the alert {event_id}; mark that as real or as a "
                "false alarm."
            )
        if request.mark == "none":
            if before is None:
                raise SemedgeError(f"The frame {identifier} is not marked; mark it as missed.")
            row = self._row(request, before.camera, who)
            self._take_back(replace(row, frame=identifier), before)
            return f"The mark of frame {identifier} was taken back."
        if before is not None:
            row = replace(self._row(request, before.camera, who), frame=identifier)
            self._store(row, before, _marked_again(before, request.mark, row), None)
        elif recent is not None:
            row = replace(self._row(request, recent.camera, who), frame=identifier)
            picture = _Picture(recent.png(), (0, 0, 0, 0), recent)
            self._store(row, None, _frame_of_ring(recent, request.mark, row), picture)
        else:
            raise self._gone(identifier)
        return f"Frame {identifier} is marked as {WORDS[request.mark]}, and kept."

    def _gone(self, identifier: str) -> SemedgeError:
        if self._recent is None:
            return SemedgeError(
                f"The frame {identifier} is not kept, and only a running station has its last "
                "frames; mark it there, on the page or with a station file that has a table [web]."
            )
        return SemedgeError(
            f"The frame {identifier} is no longer among the last "
            f"{self._recent.most_frames} frames, or never was; mark a frame that the page shows."
        )

    def _row(self, request: MarkRequest, camera: str, who: str) -> MarkRow:
        at = utc_text(time.time())
        return MarkRow(at, who, camera, request.mark, None, None, request.note)

    def _kept(self, event: Event) -> MarkedFrame | None:
        """The event's frame that is kept: that which it is about, or was about when marked."""
        if event.sequence is None or event.captured_at_s is None:
            return None
        kept = self._marked.find(frame_id(event.camera, event.captured_at_s, event.sequence))
        return kept or self._marked.find_event(event.event_id)

    def _picture_of(self, event: Event) -> _Picture | None:
        """The frame that an event is about: whole from the ring, else as the alert stored it."""
        if event.sequence is None or event.captured_at_s is None:
            return None
        identifier = frame_id(event.camera, event.captured_at_s, event.sequence)
        recent = None if self._recent is None else self._recent.find(identifier)
        if recent is not None:
            return _Picture(recent.png(), (0, 0, 0, 0), recent)
        if event.frame_picture is None:
            return None
        path = Path(event.frame_picture)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SemedgeError(
                f"The picture {path} of the event cannot be read ({error.strerror}); correct its "
                f"permissions, and {MARK_AGAIN}."
            ) from error
        view = self._view_of_camera(event.camera)
        return _Picture(content, _cut_off(view))

    def _store(
        self,
        row: MarkRow,
        before: MarkedFrame | None,
        after: MarkedFrame | None,
        picture: _Picture | None,
    ) -> None:
        """Keep the frame and store the mark, or neither."""
        if after is None:
            add_mark(self._journal, row)
            return
        if before is None:
            assert picture is not None
            self._marked.keep(after, picture.png)
        else:
            self._marked.rewrite(after)
        try:
            add_mark(self._journal, replace(row, frame=after.frame_id))
        except BaseException:
            if before is None:
                self._marked.remove(after.frame_id)
            else:
                # The cause is what is reported, not that a full disk takes the old record no more.
                with contextlib.suppress(SemedgeError):
                    self._marked.rewrite(before)
            raise

    def _take_back(self, row: MarkRow, before: MarkedFrame | None) -> None:
        add_mark(self._journal, replace(row, frame=None if before is None else before.frame_id))
        if before is not None:
            self._marked.remove(before.frame_id)


def _marked_again(before: MarkedFrame, mark: GivenMark, row: MarkRow) -> MarkedFrame:
    return replace(before, mark=_name(mark), marked_at=row.at, marked_by=row.who, note=row.note)


def _frame_of_event(event: Event, mark: GivenMark, picture: _Picture, row: MarkRow) -> MarkedFrame:
    assert event.sequence is not None
    assert event.captured_at_s is not None
    recent = picture.recent
    setup = None if recent is None else recent.setup
    return MarkedFrame(
        frame_id=frame_id(event.camera, event.captured_at_s, event.sequence),
        event_id=event.event_id,
        camera=event.camera or NAMELESS,
        captured_at_s=event.captured_at_s,
        sequence=event.sequence,
        source=event.source or "",
        mark=_name(mark),
        marked_at=row.at,
        marked_by=row.who,
        note=row.note,
        recipe=None if setup is None else setup.recipe,
        recipe_sha256=event.recipe_sha256,
        score=_finite(event.frame_score),
        alarm_level=_finite(event.threshold),
        cut_off_px=picture.cut_off_px,
        pixel_size_um=None if recent is None else recent.pixel_size_um,
    )


def _frame_of_ring(recent: RecentFrame, mark: GivenMark, row: MarkRow) -> MarkedFrame:
    setup = recent.setup
    return MarkedFrame(
        frame_id=recent.frame_id,
        event_id=None,
        camera=recent.camera,
        captured_at_s=recent.captured_at_s,
        sequence=recent.sequence,
        source=recent.source,
        mark=_name(mark),
        marked_at=row.at,
        marked_by=row.who,
        note=row.note,
        recipe=None if setup is None else setup.recipe,
        recipe_sha256=None if setup is None else setup.recipe_sha256,
        score=_finite(recent.score),
        alarm_level=None if setup is None else _finite(setup.levels.alarm),
        pixel_size_um=recent.pixel_size_um,
    )


def _name(mark: GivenMark) -> MarkName:
    assert mark != "none"
    return mark


def _cut_off(view: ViewSettings) -> tuple[int, int, int, int]:
    return view.crop_top_px, view.crop_bottom_px, view.crop_left_px, view.crop_right_px


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
