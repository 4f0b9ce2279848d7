"""The frames that people marked: lossless files, each beside a record of what it is."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.mark import MARKS, MarkName
from semedge.core.timing import utc_seconds, utc_text

logger = logging.getLogger(__name__)

FOLDER = "marked"
"""Name of the folder in that of the pictures; no retention deletes from it."""

MOST_FRAMES = 2_000
MOST_BYTES = 4_000_000_000


@dataclass(frozen=True)
class MarkedFrame:
    """A frame that was marked, or the frame of an alert that was.

    Attributes
    ----------
    frame_id
        Its identifier, which is the name of its files.
    event_id
        The alert; None for a frame that raised none.
    camera, captured_at_s, sequence, source
        Where and when it was taken.
    mark, marked_at, marked_by, note
        The mark, when it was given (ISO-8601, UTC), by whom, and what the person wrote.
    recipe, recipe_sha256
        The recipe that it was judged by; None where none was in use.
    score, alarm_level
        Its score, and the level above which it would alarm; None where they are not known.
    cut_off_px
        Rows and columns that are missing in the picture: top, bottom, left, right. Zeros for a
        whole frame.
    pixel_size_um
        Size of a pixel on the specimen; None where it is not known.
    """

    frame_id: str
    event_id: str | None
    camera: str
    captured_at_s: float
    sequence: int
    source: str
    mark: MarkName
    marked_at: str
    marked_by: str
    note: str
    recipe: str | None
    recipe_sha256: str | None
    score: float | None
    alarm_level: float | None
    cut_off_px: tuple[int, int, int, int] = (0, 0, 0, 0)
    pixel_size_um: float | None = None

    def to_document(self) -> dict[str, Any]:
        """The record as the file has it."""
        document = asdict(self)
        document["captured_at"] = utc_text(document.pop("captured_at_s"))
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> MarkedFrame:
        """The frame that `to_document` wrote; raises `ValueError` or `TypeError` where it did not.

        Keys of later versions are left out.
        """
        values = {
            name: value for name, value in document.items() if name in cls.__dataclass_fields__
        }
        if values["mark"] not in MARKS:
            raise ValueError(values["mark"])
        top, bottom, left, right = (int(each) for each in values["cut_off_px"])
        values["cut_off_px"] = (top, bottom, left, right)
        return cls(captured_at_s=utc_seconds(document["captured_at"]), **values)


class MarkedFrames:
    """The folder of the marked frames, in that of the pictures.

    Parameters
    ----------
    pictures
        The folder of the pictures of events.
    most_bytes
        Size of the folder above which no further frame is accepted.
    """

    def __init__(self, pictures: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = Path(pictures) / FOLDER
        self.most_bytes = most_bytes

    def all(self) -> list[MarkedFrame]:
        """Every marked frame, the oldest capture first; a damaged record is logged and left out."""
        found = [self._read(path) for path in self._records()]
        return sorted(
            (each for each in found if each is not None), key=lambda each: each.captured_at_s
        )

    def find(self, frame_id: str) -> MarkedFrame | None:
        """The frame with this identifier; None where it is not kept."""
        path = self._record(frame_id)
        return self._read(path) if path.is_file() else None

    def find_event(self, event_id: str) -> MarkedFrame | None:
        """The frame of an alert; None where none is kept."""
        return next((each for each in self.all() if each.event_id == event_id), None)

    def picture(self, frame_id: str) -> Path | None:
        """The file of a frame's picture; None where it is not kept."""
        path = self._picture(frame_id)
        return path if path.is_file() else None

    def size_bytes(self) -> int:
        """Size of the folder."""
        sizes = 0
        for path in self.folder.glob("*"):
            with contextlib.suppress(OSError):
                sizes += path.stat().st_size
        return sizes

    def keep(self, frame: MarkedFrame, png: bytes) -> None:
        """Write a frame; on return it is on the disk.

        Raises `SemedgeError`, and leaves nothing of it, where the folder is full or cannot be
        written.
        """
        kept = sum(1 for _ in self._records())
        if kept >= MOST_FRAMES or self.size_bytes() + len(png) > self.most_bytes:
            raise SemedgeError(
                f"The folder of marked frames {self.folder} is full ({kept:,} frames, and at most "
                f"{MOST_FRAMES:,} or {self.most_bytes / 1e6:,.0f} MB are kept); learn from them "
                "with `semedge learn --from-station`, and move the folder away."
            )
        try:
            write_atomically(self._picture(frame.frame_id), png)
            self.rewrite(frame)
        except BaseException:
            self.remove(frame.frame_id)
            raise

    def rewrite(self, frame: MarkedFrame) -> None:
        """Replace the record of a frame that is kept."""
        content = json.dumps(frame.to_document(), indent=1, allow_nan=False) + "\n"
        write_atomically(self._record(frame.frame_id), content.encode())

    def remove(self, frame_id: str) -> None:
        """Delete a frame; its record goes first, since a frame without one does not count."""
        for path in (self._record(frame_id), self._picture(frame_id)):
            with contextlib.suppress(OSError):
                path.unlink()

    def _records(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def _record(self, frame_id: str) -> Path:
        return self.folder / f"{frame_id}.json"

    def _picture(self, frame_id: str) -> Path:
        return self.folder / f"{frame_id}.png"

    def _read(self, path: Path) -> MarkedFrame | None:
        try:
            frame = MarkedFrame.from_document(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.warning(
                f"The record {path} of a marked frame cannot be read ({error}); the frame is left "
                "out: mark it again, or delete the record.",
                extra={"event": "mark-damaged"},
            )
            return None
        return replace(frame, frame_id=path.stem)
