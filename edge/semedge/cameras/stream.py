"""Live cameras through OpenCV: devices, RTSP, MJPEG.

A thread of its own opens, reads and releases the capture and keeps only the newest frame: a reader
that is slower than the camera loses frames but never falls behind. When the source dies, the
thread opens it again, with growing pauses.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from threading import Condition, Thread

import cv2

from semedge.cameras.base import Camera, CameraStalledError
from semedge.errors import SemedgeError
from semedge.frame import Frame
from semedge.images import to_gray
from semedge.opencv import hush

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CLOSE_TIMEOUT_S = 5.0
SHORTEST_OPEN_S = 5.5
"""RTSP servers need up to five seconds to answer."""
FFMPEG_OPTIONS = "rtsp_transport;tcp|analyzeduration;500000"
"""They hold for every video of the process: `nobuffer`, too, would lose a file's first frames."""

HOST = r"(?:\[[^\]]*\]|[\w.-]+)(?::\d*)?(?:[/?#]|$)"
SECRETS = r"(?i)([?&](?:pass|passwd|password|pwd|token|key|secret|auth)=)[^&#]*"


def redact(source: str) -> str:
    """A camera's address without its user and password, which may hold an `@` or a `/`."""
    without_user = re.sub(rf"(?<=://)(?:[^/?#]*@|(?!{HOST}).*@)", "", source)
    return re.sub(SECRETS, r"\1***", without_user)


class StreamCamera(Camera):
    """The newest frame of a live source.

    Parameters
    ----------
    source
        Device number, `/dev/video0`, or an `rtsp://` or `http://` address.
    timeout_s
        Longest wait for a frame before a read raises `CameraStalledError`.

    Raises
    ------
    SemedgeError
        Where no frame comes within the timeout after opening.
    """

    live = True

    def __init__(self, source: str, *, timeout_s: float) -> None:
        super().__init__(redact(source))
        self._address = source
        self._timeout_s = timeout_s
        self._newest: Frame | None = None
        self._arrived = Condition()
        self._sequence = 0
        self._thread = Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            with self._arrived:
                arrived = self._arrived.wait_for(lambda: self._newest is not None, timeout_s)
            if not arrived:
                raise SemedgeError(
                    f"The camera {self.source} gave no frame within {timeout_s:g} s; check that it "
                    "is on, its address, and that no other program holds it."
                )
            on_failure.pop_all()

    def read(self) -> Frame:
        """The newest frame that was not read yet."""
        with self._arrived:
            self._arrived.wait_for(
                lambda: self._newest is not None or self._closed.is_set(), self._timeout_s
            )
            if self._closed.is_set():
                raise StopIteration
            frame, self._newest = self._newest, None
        if frame is None:
            raise CameraStalledError(
                f"The camera {self.source} gave no frame for {self._timeout_s:g} s; it is being "
                "reconnected: check the camera and its cable."
            )
        return frame

    def close(self) -> None:
        """End the thread, which releases the capture."""
        super().close()
        with self._arrived:
            self._arrived.notify_all()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closed.is_set():
            capture = self._open()
            frames_before = self._sequence
            while not self._closed.is_set():
                ok, image = capture.read()
                if not ok:
                    break
                self._offer(Frame(to_gray(image), self._sequence, time.time(), self.source))
            capture.release()
            if self._sequence > frames_before:
                pause_s = FIRST_PAUSE_S
            self._closed.wait(pause_s * random.uniform(0.8, 1.2))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _offer(self, frame: Frame) -> None:
        with self._arrived:
            if self._newest is not None:
                self.lost += 1
            self._newest = frame
            self._sequence += 1
            self._arrived.notify_all()

    def _open(self) -> cv2.VideoCapture:
        hush()
        if self._address.isdecimal():
            return cv2.VideoCapture(f"/dev/video{int(self._address)}", cv2.CAP_V4L2)
        if self._address.startswith("/dev/"):
            return cv2.VideoCapture(self._address, cv2.CAP_V4L2)
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", FFMPEG_OPTIONS)
        # The first one is given up with the constructor; a later one may take its time.
        open_s = max(self._timeout_s, SHORTEST_OPEN_S) if self._sequence else self._timeout_s
        open_ms = int(open_s * 1e3)
        read_ms = int(self._timeout_s * 1e3)
        return cv2.VideoCapture(
            self._address,
            cv2.CAP_FFMPEG,
            [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_ms],
        )
