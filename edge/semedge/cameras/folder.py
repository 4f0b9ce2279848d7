"""Image files as a camera: each file once, in natural order."""

from __future__ import annotations

import logging
import time

from semedge.cameras.base import Camera
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import list_images, read_image

logger = logging.getLogger(__name__)


class FolderCamera(Camera):
    """Frames from a folder, a glob or one file.

    A file that cannot be decoded is logged, skipped and counted; where none can be decoded, the end
    is an error.

    Parameters
    ----------
    source
        Folder, glob or file.
    loop
        Whether to start again at the end.
    """

    def __init__(self, source: str, *, loop: bool = False) -> None:
        super().__init__(source)
        self._paths = list_images(source)
        self._loop = loop
        self._at = 0
        self._read = 0

    @property
    def ends(self) -> bool:
        """Whether the frames come to an end by themselves."""
        return not self._loop

    def read(self) -> Frame:
        """The next file that can be decoded."""
        while True:
            if self._at == len(self._paths):
                self._end_of_round()
            path = self._paths[self._at]
            try:
                image = read_image(path)
            except SemedgeError as error:
                del self._paths[self._at]
                self.skipped.append(str(error))
                logger.info(f"Skipped: {error}", extra={"event": "file-skipped"})
                continue
            self._at += 1
            self._read += 1
            return Frame(image, self._read - 1, time.time(), str(path))

    def _end_of_round(self) -> None:
        if not self._read:
            raise SemedgeError(
                f"None of the {len(self.skipped)} files of {self.source} can be decoded; give "
                "8- or 16-bit gray images."
            )
        if not self._loop or not self._paths:
            raise StopIteration
        self._at = 0
