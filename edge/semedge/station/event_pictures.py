"""The pictures of events: the frame, and its heat map."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.frame import Frame
from semedge.inference.overlay import draw_overlay, encode_png
from semedge.inference.score_map import ScoreMap

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PicturePaths:
    """Paths of a frame's picture and of its heat map; None where one was not written."""

    frame: str | None = None
    overlay: str | None = None


class EventPictures:
    """Writes pictures into a folder for each day; usable from every camera's thread.

    Parameters
    ----------
    folder
        The folder of the days' folders.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._paused = False

    def set_paused(self, paused: bool) -> None:
        """Stop writing pictures, or start again."""
        self._paused = paused

    def write(self, frame: Frame, score_map: ScoreMap, level: float, event_id: str) -> PicturePaths:
        """Write the frame and its heat map, unless paused."""
        if self._paused:
            return PicturePaths()
        captured = datetime.fromtimestamp(frame.captured_at_s, timezone.utc)
        folder = self.folder / f"{captured:%Y-%m-%d}"
        stem = f"{captured:%H%M%S}-{frame.sequence}-{event_id[:12]}"
        return PicturePaths(
            _write_picture(folder / f"{stem}-frame.png", frame.image),
            _write_picture(
                folder / f"{stem}-overlay.png", draw_overlay(frame.image, score_map, level)
            ),
        )


def _write_picture(path: Path, image: NDArray) -> str | None:
    try:
        write_atomically(path, encode_png(image))
    except SemedgeError as error:
        logger.warning(f"The event has no picture: {error}", extra={"event": "no-picture"})
        return None
    return str(path)
