"""An RTSP stream through PyAV, which sees the damage that OpenCV conceals (extra `rtsp`)."""

from __future__ import annotations

import contextlib
import importlib.util
from collections import deque
from collections.abc import Iterator
from typing import Any

from semedge.cameras.live import Capture, CaptureLostError, Shot
from semedge.core.jpeg import JpegError, decode_jpeg
from semedge.core.optional import import_extra

OPTIONS = {
    "rtsp_transport": "tcp+udp",
    "rtsp_flags": "prefer_tcp",
    "analyzeduration": "500000",
    # FFMPEG numbers the packets only where it sorts them, which over TCP it does not by default.
    "reorder_queue_size": "16",
}
GAP = "RTP: missed"
"""How FFMPEG reports packets that never arrived; it has no other sign of them."""


def is_available() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


class RtspCapture(Capture):
    """A connection whose damaged frames are none.

    A frame is damaged from the first packet that is missing or cannot be decoded until the next
    whole key frame, because each frame between is a change of the one before.

    Parameters
    ----------
    address
        The stream.
    open_s, read_s
        Longest wait for the connection, and for a packet.

    Raises
    ------
    CaptureLostError
        Where there is no connection, or it has no video.
    """

    def __init__(self, address: str, *, open_s: float, read_s: float) -> None:
        self._av = import_extra("av", "rtsp", "An RTSP stream through PyAV")
        self._av.logging.set_level(self._av.logging.WARNING)
        self._av.logging.set_skip_repeated(False)
        with self._listening():
            self._container = self._av.open(address, options=OPTIONS, timeout=(open_s, read_s))
        if not self._container.streams.video:
            self.close()
            raise CaptureLostError("it sends no video")
        stream = self._container.streams.video[0]
        stream.codec_context.thread_count = 1
        self._is_jpeg = stream.codec_context.name == "mjpeg"
        self._packets = self._container.demux(stream)
        self._shots: deque[Shot] = deque()
        self._damaged = True

    def read(self) -> Shot | None:
        """The next frame."""
        if not self._shots:
            self._read_packet()
        return self._shots.popleft() if self._shots else None

    def close(self) -> None:
        """End the connection."""
        with self._listening():
            self._container.close()

    def _read_packet(self) -> None:
        with self._listening() as messages:
            packet = next(self._packets, None)
        if packet is None or not packet.size:
            raise CaptureLostError("it ended the stream")
        self._damaged |= any(GAP in text for _, _, text in messages)
        if self._is_jpeg:
            self._shots.append(_shot_of_jpeg(bytes(packet)))
            return
        try:
            with self._listening():
                frames = packet.decode()
        except CaptureLostError:
            self._damaged = True
            self._shots.append(Shot(None))
            return
        self._shots.extend(map(self._shot, frames))

    def _shot(self, frame: Any) -> Shot:
        if frame.is_corrupt:
            self._damaged = True
        elif frame.key_frame:
            self._damaged = False
        return Shot(None) if self._damaged else Shot.of(frame.to_ndarray(format="bgr24"))

    @contextlib.contextmanager
    def _listening(self) -> Iterator[list[tuple[int, str, str]]]:
        """What FFMPEG reports meanwhile; its errors become `CaptureLostError`."""
        try:
            with self._av.logging.Capture() as messages:
                yield messages
        except self._av.error.FFmpegError as error:
            # The whole message would have the address, and in it the password.
            raise CaptureLostError(error.strerror or "it broke off the stream") from None


def _shot_of_jpeg(content: bytes) -> Shot:
    try:
        return Shot.of(decode_jpeg(content))
    except JpegError:
        return Shot(None)
