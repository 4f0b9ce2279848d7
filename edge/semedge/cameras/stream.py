"""Live cameras through OpenCV: devices, RTSP, MJPEG."""

from __future__ import annotations

import os
import time

import cv2

from semedge.cameras import rtsp, rtsp_stream
from semedge.cameras.live import (
    CameraSettingsError,
    Capture,
    CaptureLostError,
    LiveCamera,
    Shot,
    UnreachableError,
)
from semedge.cameras.mjpeg import MjpegCapture, open_mjpeg
from semedge.core.images import silence_opencv
from semedge.core.jpeg import JpegError, decode_jpeg
from semedge.core.redact import encoding_hint, redact

SHORTEST_OPEN_S = 5.5
"""RTSP servers need up to five seconds to answer."""
FFMPEG_OPTIONS = "rtsp_transport;tcp+udp|rtsp_flags;prefer_tcp|analyzeduration;500000"
"""TCP where the camera can; `nobuffer` would lose the first frames of files. For every video."""

DECODERS = 1
"""With more, FFMPEG delays one frame for each: with eight cores, by a third of a second."""

UNDECODED = -1
"""OpenCV's format for packets that are not decoded."""
JPEGS = cv2.VideoWriter_fourcc(*"MJPG")  # type: ignore[attr-defined]


class StreamCamera(LiveCamera):
    """The newest frame of a device or a stream.

    Parameters
    ----------
    source
        Device number, `/dev/video0`, or an `rtsp://` or `http://` address.
    timeout_s
        Longest wait for a frame before a read raises `CameraStalledError`.
    """

    def __init__(self, source: str, *, timeout_s: float) -> None:
        self._address = source
        self._mjpeg: MjpegCapture | None = None
        super().__init__(redact(source), timeout_s=timeout_s)

    def connect(self) -> Capture:
        """Connect to a server of JPEGs, or through OpenCV."""
        try:
            return self._connect()
        except UnreachableError as error:
            raise UnreachableError(f"{error}{encoding_hint(self._address)}") from None
        except CameraSettingsError as error:
            hint = encoding_hint(self._address)
            raise CameraSettingsError(
                f"The camera {self.source} cannot be used: {error}; check the address, its user "
                f"and its password{hint}."
            ) from None

    def close(self) -> None:
        """End the thread, which releases the connection."""
        self._closed.set()
        if self._mjpeg is not None:
            self._mjpeg.interrupt()
        super().close()

    def _connect(self) -> Capture:
        if self._address.startswith(("http://", "https://")):
            self._mjpeg = open_mjpeg(self._address, self._timeout_s)
            if self._mjpeg is not None:
                return self._mjpeg
        if self._address.startswith("rtsp://"):
            return self._connect_rtsp()
        return self._open_video()

    def _connect_rtsp(self) -> Capture:
        began_s = time.monotonic()
        try:
            if rtsp_stream.is_available():
                return rtsp_stream.RtspCapture(
                    self._address, open_s=self._open_s, read_s=self._timeout_s
                )
            return self._open_video()
        except CaptureLostError:
            if time.monotonic() - began_s < rtsp.ANSWER_S / 2:
                rtsp.check(self._address)
            raise

    @property
    def _open_s(self) -> float:
        """Longest attempt to open; the first ends with the constructor, later ones may wait."""
        return max(self._timeout_s, SHORTEST_OPEN_S) if self._sequence else self._timeout_s

    def _open_video(self) -> Capture:
        silence_opencv()
        if self._address.isdecimal():
            return OpenCvCapture(cv2.VideoCapture(f"/dev/video{int(self._address)}", cv2.CAP_V4L2))
        if self._address.startswith("/dev/"):
            return OpenCvCapture(cv2.VideoCapture(self._address, cv2.CAP_V4L2))
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", FFMPEG_OPTIONS)
        video = cv2.VideoCapture(
            self._address,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(self._open_s * 1e3)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(self._timeout_s * 1e3)),
                *(cv2.CAP_PROP_N_THREADS, DECODERS),
            ],
        )
        if not video.isOpened():
            raise CaptureLostError
        return OpenCvCapture(video)


class OpenCvCapture(Capture):
    """OpenCV's connection; it waits for a frame by itself, and gives no reason for failures.

    The pictures of a JPEG stream are decoded here: OpenCV would silently scale those of another
    size to the size of the first.
    """

    def __init__(self, video: cv2.VideoCapture) -> None:
        self._video = video
        self._is_jpeg = _is_jpeg_stream(video) and video.set(cv2.CAP_PROP_FORMAT, UNDECODED)

    def read(self) -> Shot:
        """The next frame."""
        ok, image = self._video.read()
        if not ok:
            raise CaptureLostError
        if not self._is_jpeg:
            return Shot.of(image)
        try:
            return Shot.of(decode_jpeg(image.tobytes()))
        except JpegError:
            return Shot(None)

    def close(self) -> None:
        """Release the device or the stream."""
        self._video.release()


def _is_jpeg_stream(video: cv2.VideoCapture) -> bool:
    """Whether FFMPEG receives JPEGs; V4L2 reports a changed size by itself."""
    code = int(video.get(cv2.CAP_PROP_FOURCC))
    return video.isOpened() and video.getBackendName() == "FFMPEG" and code == JPEGS
