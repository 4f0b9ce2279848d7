"""The live frame as a picture, drawn by the web server and only on request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from semedge.core.images import to_colour
from semedge.core.timing import utc_text
from semedge.inference.overlay import ColourImage, draw_overlay, view_8_bit
from semedge.state.document import finite
from semedge.state.snapshot import Inspected
from semedge.state.state import StationState

View = Literal["frame", "heat", "plain"]
"""What a picture shows: the frame under what was found, its heat map, or nothing but the frame."""
Size = Literal["screen", "full"]

LONGEST_SIDE_PX = 1280
JPEG_QUALITY = 80
DRAW_EVERY_S = 0.5
"""Shortest time between two drawings of a camera, for any frame rate and number of viewers."""


@dataclass(frozen=True)
class LivePicture:
    """A frame that was inspected, as a JPEG, with what was found in it.

    Attributes
    ----------
    sequence
        Position of the frame in the camera's stream.
    facts
        Sequence, level, score, time and source of the frame, as JSON in ASCII.
    content
        The JPEG.
    """

    sequence: int
    facts: str
    content: bytes


class LivePictures:
    """Draws frames at a limited rate, as often for many viewers as for one.

    Parameters
    ----------
    state
        The state with the last inspected frame.
    shown
        Returns the frame of a camera that the last message to the pages was about, so that their
        picture is that frame.
    """

    def __init__(self, state: StationState, shown: Callable[[str], Inspected | None]) -> None:
        self._state = state
        self._shown = shown
        self._lock = threading.Lock()
        self._drawn: dict[tuple[str, View, Size], tuple[float, LivePicture]] = {}

    def draw(
        self, camera: str, view: View, size: Size = "screen", sequence: int | None = None
    ) -> LivePicture | None:
        """The camera's frame of that sequence where it is still known, else its last one.

        None where the camera has no frame yet.
        """
        # One drawing at a time: a thread that waits here gets what was drawn meanwhile.
        with self._lock:
            at_s, drawn = self._drawn.get((camera, view, size), (0.0, None))
            wanted = drawn is not None and drawn.sequence == sequence
            if drawn is not None and (wanted or time.monotonic() - at_s <= DRAW_EVERY_S):
                return drawn
            state = self._state.snapshot().cameras.get(camera)
            if state is None or state.last is None:
                return None
            sent = self._shown(camera)
            inspected = sent if sent and sent.frame.sequence == sequence else state.last
            if drawn is None or drawn.sequence != inspected.frame.sequence:
                alarm = (
                    float("inf") if state.active_setup is None else state.active_setup.levels.alarm
                )
                drawn = LivePicture(
                    inspected.frame.sequence,
                    _facts(inspected),
                    encode_jpeg(_picture(inspected, alarm, view, size)),
                )
                self._drawn[camera, view, size] = time.monotonic(), drawn
            return drawn


def _facts(last: Inspected) -> str:
    frame = last.frame
    facts: dict[str, Any] = {
        "sequence": frame.sequence,
        "level": last.level,
        "score": finite(last.score_map.frame_score),
        "captured_at": utc_text(frame.captured_at_s),
        "source": frame.source,
    }
    return json.dumps(facts)


def _picture(last: Inspected, alarm_level: float, view: View, size: Size) -> ColourImage:
    if view == "plain":
        plain: ColourImage = to_colour(view_8_bit(last.frame.picture)).astype(np.uint8)
        return plain if size == "full" else fitted(plain, LONGEST_SIDE_PX)
    both = draw_overlay(last.frame.picture, last.score_map, alarm_level, last.frame.left_out)
    width = last.frame.shape[1]
    half: ColourImage = both[:, width:] if view == "heat" else both[:, :width]
    return half if size == "full" else fitted(half, LONGEST_SIDE_PX)


def fitted(picture: ColourImage, longest_px: int) -> ColourImage:
    """The picture, no side of which is longer than this."""
    longest = max(picture.shape[:2])
    if longest <= longest_px:
        return picture
    scale = longest_px / longest
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def encode_jpeg(picture: ColourImage) -> bytes:
    """Content of a JPEG file."""
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return content.tobytes()
