"""Cameras: one file a kind of source, one function that opens them all."""

from __future__ import annotations

import re
from pathlib import Path

from semedge.cameras.base import Camera, CameraStalledError
from semedge.cameras.folder import FolderCamera
from semedge.cameras.hot_folder import HotFolderCamera
from semedge.cameras.settings import AS_IT_IS, TIMEOUT_S, CameraSettings
from semedge.cameras.simulated import SimulatedCamera
from semedge.cameras.stream import StreamCamera
from semedge.cameras.video import VIDEO_SUFFIXES, VideoCamera
from semedge.core.errors import SemedgeError
from semedge.core.plugins import Plugins
from semedge.core.redact import redact
from semedge.core.view import FrameView

__all__ = ["Camera", "CameraSettings", "CameraStalledError", "open_camera"]

FORMS = (
    *("0 or /dev/video0", "rtsp://...", "http://... (MJPEG)", "a video file"),
    *("a folder, glob or file of images", "sim:SEED"),
    *("genicam:PRODUCER.cti#SERIAL", "pylon:SERIAL", "aravis:NAME"),
)


PLUGINS = Plugins(
    "semedge.cameras",
    "camera",
    own=("aravis", "file", "genicam", "http", "https", "pylon", "rtsp", "sim"),
)
"""Kinds of cameras that other packages provide; docs/how-to/new-camera.md shows how."""


def open_camera(
    source: str | Path,
    *,
    timeout_s: float = TIMEOUT_S,
    loop: bool = False,
    settings: CameraSettings = AS_IT_IS,
) -> Camera:
    """Open a source of frames.

    Parameters
    ----------
    source
        A device number or path, an address, a file, a folder, a glob, or one of the forms with a
        name and a colon, such as those of `PLUGINS`.
    timeout_s
        Longest wait for a frame of a live source.
    loop
        Whether files start again at their end.
    settings
        Settings of the camera; `SemedgeError` where it refuses one, or has none.
    """
    source = str(source)
    if timeout_s <= 0:
        raise SemedgeError(f"timeout_s must be above 0. Received: {timeout_s:g}")
    camera = _open_device(source, settings, timeout_s)
    if camera is None:
        settings.refuse_for(redact(source))
        camera = _open_other(source, timeout_s, loop, settings)
    camera.view = FrameView(settings)
    return camera


def _open_device(source: str, settings: CameraSettings, timeout_s: float) -> Camera | None:
    """A camera of a kind that has settings; the libraries are loaded only for these kinds."""
    if source.startswith("genicam:"):
        from semedge.cameras.genicam import GenicamCamera

        return GenicamCamera(source, settings, timeout_s=timeout_s)
    if source.startswith("pylon:"):
        from semedge.cameras.pylon import PylonCamera

        return PylonCamera(source, settings, timeout_s=timeout_s)
    if source.startswith("aravis:"):
        from semedge.cameras.aravis import AravisCamera

        return AravisCamera(source, settings, timeout_s=timeout_s)
    return None


def _open_other(source: str, timeout_s: float, loop: bool, settings: CameraSettings) -> Camera:
    if source.startswith("sim:"):
        return SimulatedCamera(source)
    if source.isdecimal() or source.startswith(("/dev/video", "rtsp://", "http://", "https://")):
        return StreamCamera(source, timeout_s=timeout_s)
    name = source.partition(":")[0]
    if ":" in source and re.fullmatch(r"[A-Za-z][\w.-]*", name) and name in PLUGINS.names():
        return _open_plugin(name, source, timeout_s)
    path = Path(source)
    if settings.follow:
        return HotFolderCamera(
            source,
            timeout_s=timeout_s,
            recursive=settings.recursive,
            move_to=settings.move_to,
        )
    if "://" in source or (re.match(r"[A-Za-z]+:", source) and not path.exists()):
        *forms, last = (*FORMS, *(f"{name}:ADDRESS" for name in PLUGINS.names()))
        raise SemedgeError(f"A camera is {', '.join(forms)} or {last}. Received: {redact(source)}")
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
        return VideoCamera(source, loop=loop)
    return FolderCamera(source, loop=loop, recursive=settings.recursive)


def _open_plugin(name: str, source: str, timeout_s: float) -> Camera:
    camera_class = PLUGINS.load(name, Camera)
    try:
        camera: Camera = camera_class(source, timeout_s=timeout_s)
    except SemedgeError:
        raise
    except Exception as error:
        raise PLUGINS.failure(name, f"open {redact(source)}", error) from error
    return camera
