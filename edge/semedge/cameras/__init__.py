"""Cameras: one file a kind of source, one function that opens them all."""

from __future__ import annotations

import re
from pathlib import Path

from semedge.cameras.base import Camera, CameraStalledError
from semedge.cameras.folder import FolderCamera
from semedge.cameras.sim import SimulatedCamera
from semedge.cameras.stream import StreamCamera, redact
from semedge.cameras.video import VIDEO_SUFFIXES, VideoCamera
from semedge.errors import SemedgeError

__all__ = ["Camera", "CameraStalledError", "open_camera"]

SCHEMES = (
    "0 or /dev/video0, rtsp://..., http://... (MJPEG), a video file, a folder, glob or file of "
    "images, or sim:SEED"
)


def open_camera(source: str, *, timeout_s: float = 10.0, loop: bool = False) -> Camera:
    """Open a source of frames.

    Parameters
    ----------
    source
        A device number or path, an address, a file, a folder, a glob, or `sim:SEED`.
    timeout_s
        Longest wait for a frame of a live source.
    loop
        Whether files start again at their end.
    """
    if timeout_s <= 0:
        raise SemedgeError(f"timeout_s must be above 0. Received: {timeout_s:g}")
    if source.startswith("sim:"):
        return SimulatedCamera(source)
    if source.isdecimal() or source.startswith(("/dev/video", "rtsp://", "http://", "https://")):
        return StreamCamera(source, timeout_s=timeout_s)
    path = Path(source)
    if "://" in source or (re.match(r"[A-Za-z]+:", source) and not path.exists()):
        raise SemedgeError(f"A camera is {SCHEMES}. Received: {redact(source)}")
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        return VideoCamera(source, loop=loop)
    return FolderCamera(source, loop=loop)
