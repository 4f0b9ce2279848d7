"""A folder that another program fills, as a camera: each new picture once, when it is whole."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from semedge.cameras.base import Camera, CameraStalledError
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import SUFFIXES, frames_of, natural_key, read_image, read_picture

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
"""Pause between two looks; looking works on network shares too, where no change is reported."""
GIVE_UP_S = 5.0
"""A file that cannot be decoded is skipped after it has not changed for this long."""
TAKEN = ".semedge-taken"
"""Name of the list of files that were taken, in the folder."""

Stamp = tuple[int, int]
"""Size in bytes and time of change in nanoseconds: what tells a file from one of the same name."""


@dataclass
class _Seen:
    """A file that was seen with this stamp, first at this monotonic time."""

    stamp: Stamp
    since_s: float


class HotFolderCamera(Camera):
    """Pictures of a folder in the order in which they come; those that are there first.

    A picture is taken once its size and time of change have rested between two looks and it can be
    decoded. It counts as done when the next one is asked for: then its name is added to a list in
    the folder, or it is moved. What was not done when the program ended is taken again.

    Parameters
    ----------
    source
        The folder.
    timeout_s
        Longest wait for a picture before a read raises `CameraStalledError`.
    recursive
        Whether the subfolders are looked at too.
    move_to
        A folder for the pictures that are done, on the same disk; None to keep a list.
    """

    live = True

    def __init__(
        self, source: str, *, timeout_s: float, recursive: bool = False, move_to: Path | None = None
    ) -> None:
        super().__init__(source)
        self._folder = Path(source)
        if not self._folder.is_dir():
            raise SemedgeError(
                f"follow = true needs a folder, and {source} is not one; give the folder that the "
                "pictures come into."
            )
        self._timeout_s = timeout_s
        self._recursive = recursive
        self._move_to = move_to
        self._seen: dict[str, _Seen] = {}
        self._pages: deque[str] = deque()
        self._current: tuple[str, Stamp] | None = None
        self._read = 0
        self._taken = self._load_taken()

    def read(self) -> Frame:
        """The next picture that is whole."""
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            if self._pages:
                name = self._pages.popleft()
                try:
                    return self._frame(name)
                except SemedgeError as error:
                    self._skip(error)
                    continue
            self._finish()
            self._look()
            if self._pages:
                continue
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise CameraStalledError(
                    f"No new picture came into {self.source} for {self._timeout_s:g} s; check the "
                    "program that writes them, or set timeout_s above its longest pause."
                )
            if self._closed.wait(min(LOOK_EVERY_S, left_s)):
                raise StopIteration

    def _look(self) -> None:
        """Find the next file that is whole."""
        now_s = time.monotonic()
        files = dict(self._files())
        self._seen = {name: seen for name, seen in self._seen.items() if name in files}
        for name, stamp in files.items():
            if self._taken.get(name) == stamp:
                continue
            seen = self._seen.get(name)
            if seen is None or seen.stamp != stamp:
                self._seen[name] = _Seen(stamp, now_s)
                continue
            if self._is_whole(name, now_s - seen.since_s):
                self._current = name, stamp
                self._pages.extend(frames_of(self._folder / name))
                return

    def _is_whole(self, name: str, rested_s: float) -> bool:
        try:
            read_image(self._folder / name)
        except SemedgeError as error:
            if rested_s < GIVE_UP_S:
                return False
            self._skip(error)
            self._current = name, self._seen[name].stamp
            self._finish()
            return False
        return True

    def _files(self) -> Iterator[tuple[str, Stamp]]:
        """Names, relative to the folder, and stamps of its pictures, the oldest first."""
        try:
            found = [
                (name, (status.st_size, status.st_mtime_ns))
                for name, status in _walk(self._folder, self._recursive)
            ]
        except OSError as error:
            raise CameraStalledError(
                f"The folder {self.source} cannot be listed ({error.strerror}); check the share."
            ) from error
        yield from sorted(found, key=lambda each: (each[1][1], natural_key(Path(each[0]))))

    def _frame(self, name: str) -> Frame:
        picture = read_picture(name)
        assert self._current is not None
        self._read += 1
        changed_at_s = self._current[1][1] / 1e9
        return Frame(
            picture.image,
            self._read - 1,
            changed_at_s if picture.captured_at_s is None else picture.captured_at_s,
            name,
            pixel_size_um=picture.pixel_size_um,
            shown=picture.shown,
            colours=picture.colours,
        )

    def _skip(self, error: SemedgeError) -> None:
        self.skipped.append(str(error))
        logger.info(f"Skipped: {error}", extra={"event": "file-skipped"})

    def _finish(self) -> None:
        """Record or move the current file, whose frames have all been read."""
        if self._current is None:
            return
        (name, stamp), self._current = self._current, None
        self._taken[name] = stamp
        self._seen.pop(name, None)
        try:
            if self._move_to is not None:
                target = self._move_to / name
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._folder / name, target)  # noqa: PTH105 - one call, and atomic
                return
            with (self._folder / TAKEN).open("ab") as file:
                file.write(b"%d %d %s\0\n" % (*stamp, os.fsencode(name)))
        except OSError as error:
            what = TAKEN if self._move_to is None else name
            raise SemedgeError(
                f"{what} could not be written from {self.source} ({error.strerror}); make the "
                "folder writable, or give a folder on the same disk with --move-to."
            ) from error

    def _load_taken(self) -> dict[str, Stamp]:
        try:
            content = (self._folder / TAKEN).read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SemedgeError(
                f"{self._folder / TAKEN} cannot be read ({error.strerror}); delete it to take "
                "every picture again."
            ) from error
        taken: dict[str, Stamp] = {}
        # A line that was cut off by a power failure is left out.
        for line in content.split(b"\0\n")[:-1]:
            size, changed, name = line.split(b" ", 2)
            taken[os.fsdecode(name)] = int(size), int(changed)
        return taken


def _walk(folder: Path, recursive: bool) -> Iterator[tuple[str, os.stat_result]]:
    """Names and states of the regular picture files of a folder, without hidden ones."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{below}{entry.name}"
                if recursive and entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
                    yield name, entry.stat()
