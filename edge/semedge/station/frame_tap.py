"""The frames of a running camera, for somebody who takes some of them beside the inspection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame

NO_FRAME_S = 20.0
"""Time without a frame after which the camera is reported as stopped."""

POLL_S = 0.01
REST = 4.0
"""Rest after each frame, as a multiple of the time that it took, so that the inspection keeps its
pace."""


def tapped_frames(
    latest: Callable[[], Frame | None],
    camera: str,
    over: threading.Event,
    shape: tuple[int, int] | None = None,
) -> Iterator[Frame]:
    """Yield the newest frame again and again, each once, until `over` is set.

    Parameters
    ----------
    latest
        Returns the newest frame of the camera; None before the first.
    camera
        The camera in sentences.
    over
        Ends the iteration.
    shape
        Height and width that the frames must have; those of the first one where None.

    Raises
    ------
    SemedgeError
        Where the camera stops, or its frames change their size.
    """
    before = None
    since_s = time.monotonic()
    while not over.is_set():
        frame = latest()
        if frame is None or frame is before:
            if time.monotonic() - since_s > NO_FRAME_S:
                raise SemedgeError(
                    f"{camera[:1].upper()}{camera[1:]} has given no frame for {NO_FRAME_S:.0f} s; "
                    "look at the camera and its cable."
                )
            over.wait(POLL_S)
            continue
        shape = shape or frame.shape
        if frame.shape != shape:
            (height, width), (known_height, known_width) = frame.shape, shape
            raise SemedgeError(
                f"The frames have {width}x{height} px now, and those collected "
                f"{known_width}x{known_height} px; set the camera back, or begin anew."
            )
        before = frame
        since_s = time.monotonic()
        yield frame
        over.wait(REST * (time.monotonic() - since_s))
