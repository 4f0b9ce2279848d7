"""The pictures of events: the frame, and its heat map."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.files import sync_file, write_atomically
from semedge.core.frame import Frame
from semedge.core.shown import Shown, with_note
from semedge.inference.overlay import draw_overlay, encode_png
from semedge.inference.score_map import ScoreMap

logger = logging.getLogger(__name__)

MOST_UNSYNCED = 1_000
"""Pictures that wait to be on the disk."""


@dataclass(frozen=True)
class PicturePaths:
    """Paths of a frame's picture and of its heat map; None where one was not written."""

    frame: str | None = None
    overlay: str | None = None


class EventPictures:
    """Writes pictures into a folder for each day; usable from every camera's thread.

    A thread of its own waits until they are on the disk, which takes a second on a slow one. A
    kill loses none of them, and a power cut only the newest.

    Parameters
    ----------
    folder
        The folder of the days' folders.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._paused = False
        self._unsynced: queue.Queue[Path] = queue.Queue(MOST_UNSYNCED)
        self._syncing: threading.Thread | None = None
        self._lock = threading.Lock()

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
            self._write(folder / f"{stem}-frame.png", frame.picture, frame.shown),
            self._write(
                folder / f"{stem}-overlay.png",
                draw_overlay(frame.picture, score_map, level, frame.left_out),
            ),
        )

    def _write(self, path: Path, image: NDArray, shown: Shown | None = None) -> str | None:
        content = encode_png(image)
        if shown is not None:
            content = with_note(content, shown)
        try:
            write_atomically(path, content, sync=False)
        except SemedgeError as error:
            logger.warning(f"The event has no picture: {error}", extra={"event": "no-picture"})
            return None
        # Where too many wait, the system writes the picture to the disk by itself.
        with contextlib.suppress(queue.Full):
            self._unsynced.put_nowait(path)
        self._start_syncing()
        return str(path)

    def _start_syncing(self) -> None:
        with self._lock:
            if self._syncing is None:
                self._syncing = threading.Thread(
                    target=self._sync, name="pictures-sync", daemon=True
                )
                self._syncing.start()

    def _sync(self) -> None:
        while True:
            path = self._unsynced.get()
            # It may have been deleted since; a disk that fails is reported when it is written to.
            with contextlib.suppress(OSError):
                sync_file(path)
