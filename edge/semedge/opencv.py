"""OpenCV kept quiet, so that a user reads semedge's one sentence and nothing beside it."""

from __future__ import annotations

import functools
import os

import cv2


@functools.cache
def hush() -> None:
    """Silence OpenCV and its FFMPEG, unless `OPENCV_LOG_LEVEL` or `OPENCV_FFMPEG_LOGLEVEL` is set.

    FFMPEG reads its variable when the first video is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
