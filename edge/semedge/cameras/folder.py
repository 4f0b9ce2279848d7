"""Image files as a camera: each file once, in natural order."""

from __future__ import annotations

import contextlib
import logging
import time

from semedge.cameras.base import Camera
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import list_frames, read_picture, split_page

logger = logging.getLogger(__name__)


class FolderCamera(Camera):
    """Frames from a folder, a glob or one file.

    A file that cannot be decoded is logged, skipped and counted; where none can be decoded, the end
    is an error. A frame was captured when its file states, or else when the file was last changed,
    but then not before the frame that precedes it; in a loop, which imitates a camera, when it is
    read.

    Parameters
    ----------
    source
        Folder, glob or file.
    loop
        Whether to start again at the end, with the files that are there then.
    recursive
        Whether to read the folder's subfolders too.
    """

    def __init__(self, source: str, *, loop: bool = False, recursive: bool = False) -> None:
        super().__init__(source)
        self._folder, self._recursive = source, recursive
        self._names = list_frames(source, recursive=recursive)
        self._damaged: set[str] = set()
        self._loop = loop
        self._at = 0
        self._read = 0
        self._last_at_s = 0.0

    @property
    def ends(self) -> bool:
        """Whether the frames come to an end by themselves."""
        return not self._loop

    def read(self) -> Frame:
        """The next file that can be decoded."""
        while True:
            if self._at == len(self._names):
                self._end_of_round()
            name = self._names[self._at]
            try:
                picture = read_picture(name)
            except SemedgeError as error:
                del self._names[self._at]
                # A file that is away may come back, such as one that a sync client renames.
                if split_page(name)[0].exists():
                    self._damaged.add(name)
                self.skipped.append(str(error))
                logger.info(f"Skipped: {error}", extra={"event": "file-skipped"})
                continue
            self._at += 1
            self._read += 1
            return Frame(
                picture.image,
                self._read - 1,
                self._captured_at_s(name, picture.captured_at_s),
                name,
                pixel_size_um=picture.pixel_size_um,
                shown=picture.shown,
                colours=picture.colours,
            )

    def _captured_at_s(self, name: str, stated_s: float | None) -> float:
        now_s = time.time()
        if self._loop:
            return now_s
        if stated_s is not None:
            return stated_s
        with contextlib.suppress(OSError):
            changed_at_s = split_page(name)[0].stat().st_mtime
            self._last_at_s = max(self._last_at_s, min(changed_at_s, now_s))
        return self._last_at_s or now_s

    def _end_of_round(self) -> None:
        if not self._read:
            raise SemedgeError(
                f"None of the {len(self.skipped)} files of {self.source} can be decoded; give "
                "8- or 16-bit gray images."
            )
        if not self._loop:
            raise StopIteration
        try:
            found = list_frames(self._folder, recursive=self._recursive)
        except SemedgeError as error:
            self.skipped.append(str(error))
            raise StopIteration from error
        self._names = [name for name in found if name not in self._damaged]
        if not self._names:
            raise StopIteration
        self._at = 0
