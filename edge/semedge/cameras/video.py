"""Video files as a camera: every frame once."""

from __future__ import annotations

import logging
import time

import cv2

from semedge.cameras.base import Camera
from semedge.core.colour import colours_of
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import silence_opencv, to_gray

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset({".avi", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
LARGEST_MISCOUNT = 2
"""Largest error of the number of frames that follows from a file's duration."""
GRAY16 = ("Y16 ", "Y1\x00\x10")
"""Pixel formats that FFMPEG decodes to 16-bit gray."""


class VideoCamera(Camera):
    """Frames of a video file; gray 16-bit video (FFV1) stays exact."""

    def __init__(self, source: str, *, loop: bool = False) -> None:
        super().__init__(source)
        self._loop = loop
        self._read = 0
        self._capture = self._open()

    @property
    def ends(self) -> bool:
        """Whether the frames come to an end by themselves."""
        return not self._loop

    def read(self) -> Frame:
        """The next frame of the file."""
        ok, image = self._capture.read()
        if not ok and self._loop and self._read:
            self._capture.release()
            self._capture = self._open()
            ok, image = self._capture.read()
        if not ok:
            if not self._read:
                raise SemedgeError(
                    f"The video {self.source} has no frame that can be decoded; record it again "
                    "or convert it to FFV1 in .mkv."
                )
            self._warn_if_cut_off()
            raise StopIteration
        self._read += 1
        sequence = self._read - 1
        return Frame(
            to_gray(image),
            sequence,
            time.time(),
            f"{self.source}#{sequence}",
            colours=colours_of(image),
        )

    def close(self) -> None:
        """Release the file."""
        super().close()
        self._capture.release()

    def _warn_if_cut_off(self) -> None:
        """Compare with the file's own duration: FFMPEG silently ends at damage."""
        expected = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._loop and self._read < expected - LARGEST_MISCOUNT:
            logger.warning(
                f"The video {self.source} ended after {self._read} of about {expected} frames; it "
                "may be damaged or cut off, so record or copy it again.",
                extra={"event": "video-cut-off"},
            )

    def _open(self) -> cv2.VideoCapture:
        silence_opencv()
        capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise SemedgeError(
                f"The video {self.source} cannot be opened; check the path and that it is a video."
            )
        if _is_gray16(capture):
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        return capture


def _is_gray16(capture: cv2.VideoCapture) -> bool:
    code = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT))
    return code.to_bytes(4, "little", signed=code < 0).decode("latin-1") in GRAY16
