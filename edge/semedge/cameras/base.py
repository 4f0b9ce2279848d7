"""What every camera is: an iterator of frames with a timeout and a `close()`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from threading import Event

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.view import FrameView


class CameraStalledError(SemedgeError):
    """No frame came in time; the camera keeps trying, and so may the caller."""


class Camera(Closing):
    """An iterator of frames that ends when the source ends.

    Attributes
    ----------
    source
        Name of the camera in messages, without passwords.
    live
        Whether frames come at the source's pace, so that a slow reader loses some.
    skipped
        Files that could not be decoded, each with the reason.
    lost
        Frames that newer ones replaced before they were read, that arrived damaged, or that the
        camera numbered but that never arrived.
    view
        Shows of each frame what is inspected.
    """

    live = False

    def __init__(self, source: str) -> None:
        self.source = source
        self.skipped: list[str] = []
        self.lost = 0
        self.view = FrameView()
        self._closed = Event()

    @property
    def ends(self) -> bool:
        """Whether the frames come to an end by themselves."""
        return not self.live

    @property
    def timed(self) -> bool:
        """Whether a frame's `captured_at_s` is when it was taken, not when its file was read."""
        return self.live

    @abstractmethod
    def read(self) -> Frame:
        """The next frame.

        Raises `StopIteration` at the end of the source and `CameraStalledError` where no frame
        came within the timeout.
        """

    def close(self) -> None:
        """Release the source, and end a read that waits."""
        self._closed.set()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._closed.is_set():
            raise StopIteration
        return self.view.show(self.read())
