"""The live frame as a picture, drawn by the web server and only on request."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from semedge.inference.overlay import ColourImage, draw_overlay
from semedge.state.snapshot import Inspected
from semedge.state.state import StationState

View = Literal["frame", "heat"]

LONGEST_SIDE_PX = 1280
JPEG_QUALITY = 80
DRAW_EVERY_S = 0.5
"""Shortest time between two drawings of a camera, for any frame rate and number of viewers."""


class LivePictures:
    """Draws frames at a limited rate, as often for many viewers as for one.

    Parameters
    ----------
    state
        The state with the last inspected frame.
    """

    def __init__(self, state: StationState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._drawn: dict[tuple[str, View], _Drawn] = {}

    def jpeg(self, camera: str, view: View) -> tuple[int, bytes] | None:
        """Sequence and JPEG of the camera's last frame; None where there is none."""
        # One drawing at a time: a thread that waits here gets what was drawn meanwhile.
        with self._lock:
            drawn = self._drawn.get((camera, view))
            if drawn is None or time.monotonic() - drawn.at_s > DRAW_EVERY_S:
                state = self._state.snapshot().cameras.get(camera)
                if state is None or state.last is None:
                    return None
                sequence = state.last.frame.sequence
                if drawn is None or drawn.sequence != sequence:
                    alarm = (
                        float("inf")
                        if state.active_setup is None
                        else state.active_setup.levels.alarm
                    )
                    content = _encoded(_picture(state.last, alarm, view))
                    drawn = _Drawn(time.monotonic(), sequence, content)
                    self._drawn[camera, view] = drawn
            return drawn.sequence, drawn.content


@dataclass(frozen=True)
class _Drawn:
    at_s: float
    sequence: int
    content: bytes


def _picture(last: Inspected, alarm_level: float, view: View) -> ColourImage:
    both = draw_overlay(last.frame.image, last.score_map, alarm_level, last.frame.left_out)
    width = last.frame.shape[1]
    half: ColourImage = both[:, width:] if view == "heat" else both[:, :width]
    longest = max(half.shape[:2])
    if longest <= LONGEST_SIDE_PX:
        return half
    scale = LONGEST_SIDE_PX / longest
    size = (round(half.shape[1] * scale), round(half.shape[0] * scale))
    return cv2.resize(half, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _encoded(picture: ColourImage) -> bytes:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return content.tobytes()
