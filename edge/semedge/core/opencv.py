"""OpenCV kept quiet, so that a user reads semedge's one sentence and nothing beside it."""

from __future__ import annotations

import functools
import os

import cv2

SILENT = 0


@functools.cache
def hush() -> None:
    """Silence OpenCV and its FFMPEG, unless `OPENCV_LOG_LEVEL` or `OPENCV_FFMPEG_LOGLEVEL` is set.

    FFMPEG reads its variable when the first video is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # OpenCV 4 has the function at its top, OpenCV 5 in a module of its own.
        owner = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
        owner.setLogLevel(SILENT)
