"""The frames of a camera, with waits for stalls, and counters of lost frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from semedge.cameras import Camera, CameraStalledError
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.view import FrameView, ViewSettings

logger = logging.getLogger(__name__)

REMIND_EVERY_S = 60.0
"""Time between two messages about the same stall."""

SHORTEST_RETRY_S = 0.5
"""Pause where a stalled camera fails immediately, so that the loop does not spin."""


class FrameSource:
    """Reads one frame after the other, from one camera after the other.

    Parameters
    ----------
    stop_after_stalled_s
        Time without a frame after which a live camera ends the inspection; None for never.
    on_stall
        Called at each stall with the reason, and whether to log it now.
    """

    def __init__(
        self, stop_after_stalled_s: float | None, on_stall: Callable[[str, bool], None]
    ) -> None:
        self._stop_after_stalled_s = stop_after_stalled_s
        self._on_stall = on_stall
        self._stopping = threading.Event()
        self._camera: Camera | None = None
        self._closed_skipped = self._closed_lost = 0
        self._iteration_began_s = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether the source was stopped."""
        return self._stopping.is_set()

    @property
    def iteration_s(self) -> float:
        """Time since the loop requested a frame, or another camera."""
        return time.monotonic() - self._iteration_began_s

    @property
    def skipped(self) -> int:
        """Number of files of all cameras so far that could not be decoded."""
        camera = self._camera
        return self._closed_skipped + (0 if camera is None else len(camera.skipped))

    @property
    def lost(self) -> int:
        """Number of frames of all cameras so far that newer ones replaced, or that never came."""
        camera = self._camera
        return self._closed_lost + (0 if camera is None else camera.lost)

    def begin_iteration(self) -> None:
        """Record that the loop makes progress."""
        self._iteration_began_s = time.monotonic()

    def wait(self, pause_s: float) -> None:
        """Pause, until `stop` at the latest."""
        self._stopping.wait(pause_s)

    @contextmanager
    def opened(self, camera: Camera) -> Iterator[Camera]:
        """Read frames from this camera, and close it at the end."""
        with camera:
            self._camera = camera
            try:
                yield camera
            finally:
                self._closed_skipped += len(camera.skipped)
                self._closed_lost += camera.lost
                self._camera = None

    def frame(self) -> Frame | None:
        """The camera's next frame, after any stalls; None after the last one."""
        camera = self._camera
        assert camera is not None
        begun_s = time.monotonic()
        logged_s: float | None = None
        while not self._stopping.is_set():
            self.begin_iteration()
            tried_s = self._iteration_began_s
            try:
                frame = next(camera, None)
            except CameraStalledError as error:
                self._give_up(camera, error, time.monotonic() - begun_s)
                log_it = logged_s is None or time.monotonic() - logged_s > REMIND_EVERY_S
                self._on_stall(str(error), log_it)
                logged_s = time.monotonic() if log_it else logged_s
                self._stopping.wait(SHORTEST_RETRY_S - (time.monotonic() - tried_s))
                continue
            if frame is not None and logged_s is not None:
                logger.info(
                    f"Inspecting again, after {time.monotonic() - begun_s:.1f} s.",
                    extra={"event": "inspecting-again"},
                )
            return frame
        return None

    def show_by(self, settings: ViewSettings) -> None:
        """Show what these settings inspect, from the next frame on."""
        if self._camera is not None:
            self._camera.view = FrameView(settings)

    def stop(self) -> None:
        """Stop reading frames; callable from any thread."""
        self._stopping.set()
        self.close()

    def close(self) -> None:
        """Close the current camera; callable from any thread."""
        camera = self._camera
        if camera is not None:
            # Closing may wait for a driver, and the caller does not.
            threading.Thread(target=camera.close, name="camera-close", daemon=True).start()

    def _give_up(self, camera: Camera, error: CameraStalledError, stalled_s: float) -> None:
        limit_s = self._stop_after_stalled_s
        if not camera.live:
            raise error
        if limit_s is not None and stalled_s >= limit_s:
            raise SemedgeError(
                f"The camera {camera.source} gave no frame for {stalled_s:.1f} s, and the "
                f"limit is {limit_s:g} s; check the camera and its cable."
            ) from error
