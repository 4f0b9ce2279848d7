"""A line's frames: the camera at hand, waited for through its stalls, and what it lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from semedge.cameras import Camera, CameraStalledError
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame

logger = logging.getLogger(__name__)

REMIND_EVERY_S = 60.0
"""Time between two lines that say that a camera is still silent."""

SHORTEST_RETRY_S = 0.5
"""Pause where a stalled camera fails at once, so that the loop does not spin."""


class Intake:
    """Gives one frame after the other, from one camera after the other.

    Parameters
    ----------
    stop_after_stalled_s
        A live camera that is silent so long ends the inspection; None for never.
    silent
        Told at each stall why no frame comes, and whether people should be told now.
    """

    def __init__(
        self, stop_after_stalled_s: float | None, silent: Callable[[str, bool], None]
    ) -> None:
        self._stop_after_stalled_s = stop_after_stalled_s
        self._silent = silent
        self._stopping = threading.Event()
        self._camera: Camera | None = None
        self._closed_skipped = self._closed_lost = 0
        self._turned_s = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether no further frame is wanted."""
        return self._stopping.is_set()

    @property
    def turn_s(self) -> float:
        """How long ago the loop asked for a frame, or went on to another camera."""
        return time.monotonic() - self._turned_s

    @property
    def skipped(self) -> int:
        """Files of all cameras so far that could not be decoded."""
        camera = self._camera
        return self._closed_skipped + (0 if camera is None else len(camera.skipped))

    @property
    def lost(self) -> int:
        """Frames of all cameras so far that newer ones replaced, or that never came."""
        camera = self._camera
        return self._closed_lost + (0 if camera is None else camera.lost)

    def turn(self) -> None:
        """Note that the loop goes on."""
        self._turned_s = time.monotonic()

    def wait(self, pause_s: float) -> None:
        """Pause, unless it is stopped meanwhile."""
        self._stopping.wait(pause_s)

    @contextmanager
    def taking(self, camera: Camera) -> Iterator[Camera]:
        """Take frames from this camera, and close it at the end."""
        with camera:
            self._camera = camera
            try:
                yield camera
            finally:
                self._closed_skipped += len(camera.skipped)
                self._closed_lost += camera.lost
                self._camera = None

    def frame(self) -> Frame | None:
        """The camera's next frame, waited for through stalls; None where there will be none."""
        camera = self._camera
        assert camera is not None
        asked_s = time.monotonic()
        said_s: float | None = None
        while not self._stopping.is_set():
            self.turn()
            tried_s = self._turned_s
            try:
                frame = next(camera, None)
            except CameraStalledError as error:
                self._give_up(camera, error, time.monotonic() - asked_s)
                say_it = said_s is None or time.monotonic() - said_s > REMIND_EVERY_S
                self._silent(str(error), say_it)
                said_s = time.monotonic() if say_it else said_s
                self._stopping.wait(SHORTEST_RETRY_S - (time.monotonic() - tried_s))
                continue
            if frame is not None and said_s is not None:
                logger.info(
                    f"Inspecting again, after {time.monotonic() - asked_s:.1f} s.",
                    extra={"event": "inspecting-again"},
                )
            return frame
        return None

    def stop(self) -> None:
        """Want no further frame; callable from any thread."""
        self._stopping.set()
        self.close()

    def close(self) -> None:
        """Close the camera at hand; callable from any thread."""
        camera = self._camera
        if camera is not None:
            # Closing may wait for a driver; whoever stops or switches does not.
            threading.Thread(target=camera.close, name="camera-close", daemon=True).start()

    def _give_up(self, camera: Camera, error: CameraStalledError, silent_s: float) -> None:
        limit_s = self._stop_after_stalled_s
        if not camera.live:
            raise error
        if limit_s is not None and silent_s >= limit_s:
            raise SemedgeError(
                f"The camera {camera.source} gave no frame for {silent_s:.1f} s, and the "
                f"limit is {limit_s:g} s; check the camera and its cable."
            ) from error
