"""What every live camera shares: the newest frame, stalls, and reconnection.

A thread opens, reads and releases the connection, and stores only the newest frame: a reader that
is slower than the camera loses frames but never falls behind. When the connection is lost, the
thread opens it again, with growing pauses.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from threading import Condition, Thread

from numpy.typing import NDArray

from semedge.cameras.base import Camera, CameraStalledError
from semedge.core.backoff import Backoff
from semedge.core.colour import colours_of
from semedge.core.errors import SemedgeError
from semedge.core.frame import ColourImage, Frame, GrayImage
from semedge.core.images import to_gray

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
SPREAD = 0.2
"""Spread of the pauses, so that cameras behind one switch do not reconnect at the same moment."""
CLOSE_TIMEOUT_S = 5.0

POLL_S = 0.2
"""Longest wait within a connection before it checks whether the camera was closed."""

LARGEST_BLOCK_ID = 65_535
"""The number after which GigE Vision's 16-bit frame numbers continue with 1."""

WRAP_MARGIN = 1_000
"""Frames around the wrap within which a smaller number counts as a wrap."""


class CaptureLostError(SemedgeError):
    """The connection is lost, and a new one may succeed."""


class UnreachableError(CaptureLostError):
    """Nothing answers at the camera's address; the first attempt to open it ends with this."""


class CameraSettingsError(SemedgeError):
    """The camera cannot be used with these settings, and another attempt would not help."""


@dataclass(frozen=True)
class Shot:
    """What a connection read.

    Attributes
    ----------
    image
        Shape `(height, width)`; None where the frame arrived damaged.
    device_frame
        The camera's own number of the frame.
    device_time_ns
        The camera's own time of the frame, in nanoseconds of its clock.
    colours
        Blue, green and red, `(height, width, 3)`; None where the camera gave none.
    """

    image: GrayImage | None
    device_frame: int | None = None
    device_time_ns: int | None = None
    colours: ColourImage | None = None

    @classmethod
    def of(cls, picture: NDArray) -> Shot:
        """A decoded picture, gray or with channels in OpenCV's order."""
        return cls(to_gray(picture), colours=colours_of(picture))


class Capture(ABC):
    """An open connection to a camera; one thread uses it."""

    on_demand = False
    """Whether a frame is captured only when the reader waits for one."""

    @abstractmethod
    def read(self) -> Shot | None:
        """The next frame, or None where there is none yet; `CaptureLostError` after the last."""

    @abstractmethod
    def close(self) -> None:
        """Release the camera."""

    def check_timeout(self) -> None:
        """Raise `CaptureLostError`, unless no frame for as long as the timeout is normal."""
        raise CaptureLostError("it stopped sending")


class FrameNumbers:
    """Counts the frames that a camera numbered but that never arrived."""

    def __init__(self) -> None:
        self._last: int | None = None

    def missed(self, number: int | None) -> int:
        """Frames between the last number and this one."""
        last, self._last = self._last, number
        if last is None or number is None:
            return 0
        if last > LARGEST_BLOCK_ID - WRAP_MARGIN and number < WRAP_MARGIN:
            number += LARGEST_BLOCK_ID
        return max(0, number - last - 1)


class LiveCamera(Camera):
    """The newest frame of a live source; a subclass connects.

    Parameters
    ----------
    source
        Name of the camera in messages, without passwords.
    timeout_s
        Longest wait for a frame before a read raises `CameraStalledError`.
    remedy
        What the camera does about a stall, and what a person should check.

    Raises
    ------
    SemedgeError
        Where no frame comes within the timeout after opening, or a setting is refused.
    """

    live = True

    def __init__(
        self,
        source: str,
        *,
        timeout_s: float,
        remedy: str = "it is being reconnected: check the camera and its cable",
    ) -> None:
        super().__init__(source)
        self._timeout_s = timeout_s
        self._remedy = remedy
        self._newest: Frame | None = None
        self._fault: Exception | None = None
        self._wanted = True
        self._sequence = 0
        self._arrived = Condition()
        self._thread = Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._wait_for_first()
            on_failure.pop_all()

    @abstractmethod
    def connect(self) -> Capture:
        """Connect to the camera.

        Raises `CameraSettingsError` where the camera cannot be used with its settings, and another
        `SemedgeError` where there is no connection now.
        """

    def read(self) -> Frame:
        """The newest frame that has not been read."""
        with self._arrived:
            if self._newest is None:
                self._wanted = True
                self._arrived.notify_all()
            self._arrived.wait_for(
                lambda: self._newest is not None or self._closed.is_set(), self._timeout_s
            )
            if self._closed.is_set():
                raise StopIteration
            frame, self._newest = self._newest, None
        if frame is None:
            raise CameraStalledError(
                f"The camera {self.source} gave no frame for {self._timeout_s:g} s; {self._remedy}"
                f"{self._reason()}."
            )
        return frame

    def close(self) -> None:
        """End the thread, which releases the connection."""
        super().close()
        with self._arrived:
            self._arrived.notify_all()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _wait_for_first(self) -> None:
        with self._arrived:
            self._arrived.wait_for(
                lambda: (
                    self._newest is not None
                    or isinstance(self._fault, CameraSettingsError | UnreachableError)
                ),
                self._timeout_s,
            )
            if self._newest is not None:
                return
        if isinstance(self._fault, CameraSettingsError):
            raise self._fault
        if isinstance(self._fault, UnreachableError):
            raise SemedgeError(
                f"The camera {self.source} cannot be reached; check that it is on and its address"
                f"{self._reason()}."
            )
        raise SemedgeError(
            f"The camera {self.source} gave no frame within {self._timeout_s:g} s; check that it "
            f"is on, its address, and that no other program uses it{self._reason()}."
        )

    def _reason(self) -> str:
        reason = str(self._fault or "").rstrip(".")
        return f" ({reason})" if reason else ""

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, SPREAD)
        while not self._closed.is_set():
            frames_before = self._sequence
            # Vendors' libraries raise any exception; after each, the camera is opened again.
            try:
                with contextlib.closing(self.connect()) as capture:
                    self._take_frames(capture)
            except Exception as error:
                # A traceback would keep the vendor's objects alive, and with them the camera.
                self._note_fault(error.with_traceback(None))
            if self._sequence > frames_before:
                backoff.reset()
            self._closed.wait(backoff.next_s())

    def _take_frames(self, capture: Capture) -> None:
        numbers = FrameNumbers()
        heard_s = time.monotonic()
        while not self._closed.is_set():
            if capture.on_demand and not self._is_wanted():
                heard_s = time.monotonic()
                continue
            shot = capture.read()
            if shot is not None:
                self._offer(shot, numbers.missed(shot.device_frame))
            if shot is not None and shot.image is not None:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > self._timeout_s:
                capture.check_timeout()
                heard_s = time.monotonic()

    def _is_wanted(self) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: self._wanted or self._closed.is_set(), POLL_S)

    def _note_fault(self, fault: Exception) -> None:
        with self._arrived:
            self._fault = fault
            self._arrived.notify_all()

    def _offer(self, shot: Shot, missed: int) -> None:
        with self._arrived:
            self.lost += missed
            self._sequence += missed
            if shot.image is None:
                self.lost += 1
            else:
                if self._newest is not None:
                    self.lost += 1
                self._newest = Frame(
                    shot.image,
                    self._sequence,
                    time.time(),
                    self.source,
                    shot.device_frame,
                    shot.device_time_ns,
                    colours=shot.colours,
                )
                self._fault = None
                self._wanted = False
                self._arrived.notify_all()
            self._sequence += 1
