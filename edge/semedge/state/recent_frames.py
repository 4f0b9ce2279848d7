"""The last judged frames of a station, as a ring in memory, so that a person can mark one."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from semedge.core.event import Level
from semedge.core.frame import AnyImage
from semedge.core.mark import frame_id_of
from semedge.core.view import WHOLE, ViewSettings, seen_again
from semedge.state.snapshot import ActiveSetup, Inspected

MOST_FRAMES = 200
MOST_BYTES = 128_000_000
HOLD_S = 300.0
"""Time for which frames that somebody looks at stay, though newer ones have pushed them out."""

PNG_COMPRESSION = 1
CLOSE_TIMEOUT_S = 5.0
IDLE_NICENESS = 19
"""Frames are encoded in time that nothing else needs; until then they are held as they came."""


@dataclass(eq=False)
class RecentFrame:
    """A frame that was judged, and how.

    Attributes
    ----------
    frame_id
        Its identifier.
    camera, captured_at_s, sequence, source
        Where and when it was taken.
    shape
        Height and width in pixels, as it was inspected.
    score, level
        Its score, and the level that it reached.
    view
        What of it was inspected.
    setup
        What it was judged by; None where that is not known.
    event_id
        The alert that it belongs to; None where it raised none.
    pixel_size_um
        Size of a pixel on the specimen; None where it is not known.
    """

    frame_id: str
    camera: str
    captured_at_s: float
    sequence: int
    source: str
    shape: tuple[int, int]
    score: float
    level: Level | None
    view: ViewSettings
    setup: ActiveSetup | None
    event_id: str | None
    pixel_size_um: float | None
    _content: AnyImage | bytes = field(repr=False)

    @property
    def bytes_held(self) -> int:
        """Memory that its picture takes."""
        content = self._content
        return len(content) if isinstance(content, bytes) else content.nbytes

    def hold_as(self, encoded: bytes) -> int:
        """Hold the picture as this PNG file, where that is smaller; the bytes that are saved."""
        before = self.bytes_held
        if len(encoded) < before:
            self._content = encoded
        return before - self.bytes_held

    def png(self) -> bytes:
        """The whole frame, before it was cropped, as a PNG file of its full bit depth."""
        content = self._content
        return content if isinstance(content, bytes) else _encoded(content)

    def inspected_picture(self) -> AnyImage:
        """The part of the frame that was inspected, gray or in colour."""
        content = self._content
        if isinstance(content, bytes):
            whole: AnyImage = cv2.imdecode(  # type: ignore[assignment]  # as it was encoded
                np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED
            )
        else:
            whole = content
        return seen_again(whole, WHOLE, self.view)


class RecentFrames:
    """The ring; usable from several threads, none of which it holds up.

    A thread of the lowest priority compresses the frames without loss.

    Parameters
    ----------
    most_frames, most_bytes
        Above either, the oldest frames are dropped. With 0 frames there is no ring.
    """

    def __init__(self, most_frames: int = MOST_FRAMES, most_bytes: int = MOST_BYTES) -> None:
        self.most_frames = most_frames
        self._most_bytes = most_bytes
        self._frames: deque[RecentFrame] = deque()
        self._bytes = 0
        self._held: tuple[RecentFrame, ...] = ()
        self._held_until_s = 0.0
        self._changed = threading.Condition()
        self._to_encode: deque[RecentFrame] = deque()
        self._encoder: threading.Thread | None = None
        self._closed = False

    @property
    def bytes_held(self) -> int:
        """Memory that the ring's pictures take, without those that are held beside it."""
        with self._changed:
            return self._bytes

    def add(self, camera: str, last: Inspected, setup: ActiveSetup | None) -> None:
        """Add a frame that was judged; the oldest ones make room for it."""
        frame = last.frame
        content = frame.picture if frame.whole is None else frame.whole
        added = RecentFrame(
            frame_id_of(camera, frame),
            camera,
            frame.captured_at_s,
            frame.sequence,
            frame.source,
            frame.shape,
            last.score_map.frame_score,
            last.level,
            WHOLE if frame.whole is None else last.view,
            setup,
            last.event_id,
            frame.pixel_size_um,
            content,
        )
        with self._changed:
            if self._closed or not self.most_frames:
                return
            self._frames.append(added)
            self._bytes += added.bytes_held
            while self._frames and (
                len(self._frames) > self.most_frames or self._bytes > self._most_bytes
            ):
                dropped = self._frames.popleft()
                self._bytes -= dropped.bytes_held
                if self._to_encode and self._to_encode[0] is dropped:
                    self._to_encode.popleft()
            if self._held and time.monotonic() > self._held_until_s:
                self._held = ()
            if self._frames and self._frames[-1] is added:
                self._to_encode.append(added)
                self._start_encoder()
                self._changed.notify_all()

    def newest_first(self, camera: str | None = None) -> list[RecentFrame]:
        """The frames of the ring, of one camera where it is named."""
        with self._changed:
            return _of(reversed(self._frames), camera)

    def hold(self, camera: str | None = None) -> list[RecentFrame]:
        """The same, which stay for `HOLD_S` after they leave the ring; a new call ends the last."""
        with self._changed:
            self._held = tuple(_of(reversed(self._frames), camera))
            self._held_until_s = time.monotonic() + HOLD_S
            return list(self._held)

    def find(self, identifier: str) -> RecentFrame | None:
        """A frame of the ring, or one that is held; None where it is neither."""
        with self._changed:
            if time.monotonic() > self._held_until_s:
                self._held = ()
            known = (*self._held, *reversed(self._frames))
        return next((each for each in known if each.frame_id == identifier), None)

    def close(self) -> None:
        """Drop every frame, and end the thread."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._to_encode.clear()
            self._held = ()
            self._bytes = 0
            self._changed.notify_all()
        # A thread that still encodes when the interpreter ends would end the process with an abort.
        if self._encoder is not None:
            self._encoder.join(CLOSE_TIMEOUT_S)

    def _start_encoder(self) -> None:
        if self._encoder is None:
            self._encoder = threading.Thread(
                target=self._encode_all, name="recent-frames", daemon=True
            )
            self._encoder.start()

    def _encode_all(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), IDLE_NICENESS)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._to_encode or self._closed)
                if self._closed:
                    return
                frame = self._to_encode.popleft()
            encoded = frame.png()
            with self._changed:
                saved_bytes = frame.hold_as(encoded)
                if frame in self._frames:
                    self._bytes -= saved_bytes


def _of(frames: Iterable[RecentFrame], camera: str | None) -> list[RecentFrame]:
    return [each for each in frames if camera in (None, each.camera)]


def _encoded(image: AnyImage) -> bytes:
    _, content = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])
    return content.tobytes()
