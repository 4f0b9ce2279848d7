"""Live cameras through OpenCV: devices, RTSP, MJPEG."""

from __future__ import annotations

import os
import re

import cv2

from semedge.cameras.live import Capture, CaptureLostError, LiveCamera, Shot
from semedge.core.images import silence_opencv, to_gray

SHORTEST_OPEN_S = 5.5
"""RTSP servers need up to five seconds to answer."""
FFMPEG_OPTIONS = "rtsp_transport;tcp|analyzeduration;500000"
"""They apply to every video of the process; `nobuffer` would lose the first frames of files."""

DECODERS = 1
"""With more, FFMPEG delays one frame for each: with eight cores, by a third of a second."""

UNDECODED = -1
"""OpenCV's format for packets that are not decoded."""
JPEGS = cv2.VideoWriter_fourcc(*"MJPG")  # type: ignore[attr-defined]

HOST = r"(?:\[[^\]]*\]|[\w.-]+)(?::\d*)?(?:[/?#]|$)"
SECRETS = r"(?i)([?&](?:pass|passwd|password|pwd|token|key|secret|auth)=)[^&#]*"


def redact(source: str) -> str:
    """A camera's address without its user and password, which may hold an `@` or a `/`."""
    without_user = re.sub(rf"(?<=://)(?:[^/?#]*@|(?!{HOST}).*@)", "", source)
    return re.sub(SECRETS, r"\1***", without_user)


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
        super().__init__(redact(source), timeout_s=timeout_s)

    def connect(self) -> Capture:
        """Connect through OpenCV."""
        silence_opencv()
        return OpenCvCapture(self._open_video())

    def _open_video(self) -> cv2.VideoCapture:
        if self._address.isdecimal():
            return cv2.VideoCapture(f"/dev/video{int(self._address)}", cv2.CAP_V4L2)
        if self._address.startswith("/dev/"):
            return cv2.VideoCapture(self._address, cv2.CAP_V4L2)
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", FFMPEG_OPTIONS)
        # The first attempt ends with the constructor; later ones may take longer.
        open_s = max(self._timeout_s, SHORTEST_OPEN_S) if self._sequence else self._timeout_s
        open_ms = int(open_s * 1e3)
        read_ms = int(self._timeout_s * 1e3)
        return cv2.VideoCapture(
            self._address,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_ms),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_ms),
                *(cv2.CAP_PROP_N_THREADS, DECODERS),
            ],
        )


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
            return Shot(to_gray(image))
        picture = cv2.imdecode(image.reshape(-1), cv2.IMREAD_UNCHANGED)
        return Shot(None if picture is None else to_gray(picture))

    def close(self) -> None:
        """Release the device or the stream."""
        self._video.release()


def _is_jpeg_stream(video: cv2.VideoCapture) -> bool:
    """Whether FFMPEG receives JPEGs; V4L2 reports a changed size by itself."""
    code = int(video.get(cv2.CAP_PROP_FOURCC))
    return video.isOpened() and video.getBackendName() == "FFMPEG" and code == JPEGS
