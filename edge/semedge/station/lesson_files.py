"""The files of a lesson at a station, from which it goes on after a restart."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.learning.frame_store import link_frames

LARGEST_JSON_BYTES = 10_000_000


@dataclass(frozen=True)
class LessonFacts:
    """What a lesson is about.

    Attributes
    ----------
    name
        Name of the recipe to be.
    camera, source
        The station's camera, and where its frames come from.
    who
        The person who teaches.
    wanted, every_s
        Frames to collect, and the least time between two of them.
    started_at
        When it began, ISO-8601 in UTC.
    left_out
        How many frames were refused, by the reason.
    thrown_out
        Numbers of frames that the person has thrown out.
    pace_hz
        Frames a second that the station inspected while they were collected.
    version
        Version of the recipe to be.
    again
        Whether the camera's recipe is learned again from what was marked.
    """

    name: str
    camera: str
    source: str
    who: str
    wanted: int
    every_s: float
    started_at: str
    left_out: dict[str, int] = field(default_factory=dict)
    thrown_out: tuple[int, ...] = ()
    pace_hz: float = 1.0
    version: int = 1
    again: bool = False


def file_of(number: int) -> str:
    """Name of the file of a collected frame."""
    return f"{number:06d}.png"


class LessonFiles:
    """Paths of a lesson's files in a folder of their own.

    Parameters
    ----------
    folder
        The folder; it is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames = folder / "frames"
        self.selected = folder / "selected"
        self.recipe = folder / "learned.recipe"
        self.sheet = folder / "learned.sheet.png"
        self.detector = folder / "detector.semedge"
        self.calibration = folder / "calibration.json"
        self.learned_frames = folder / "learned.frames"
        self._facts = folder / "lesson.json"
        self._result = folder / "learned.json"

    def facts(self) -> LessonFacts | None:
        """The lesson that was begun; None where there is none, or its file is damaged."""
        document = _read(self._facts)
        try:
            facts = LessonFacts(**(document or {}))
        except TypeError:
            return None
        return replace(facts, thrown_out=tuple(facts.thrown_out))

    def write_facts(self, facts: LessonFacts) -> None:
        """Keep what the lesson is about."""
        write_atomically(self._facts, json.dumps(vars(facts)).encode())

    def result(self) -> dict[str, Any] | None:
        """What was learned; None where nothing was."""
        return _read(self._result) if self.recipe.exists() else None

    def keep_frames(self, facts: LessonFacts, folder: Path) -> None:
        """Give a new folder the frames that were learned from, for learning again."""
        try:
            link_frames(self.learned_frames if facts.again else self.frames, folder)
            for number in facts.thrown_out:
                (folder / file_of(number)).unlink(missing_ok=True)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def write_result(self, result: dict[str, Any]) -> None:
        """Keep what was learned."""
        write_atomically(self._result, json.dumps(result).encode())

    def select(self, names: list[str]) -> None:
        """Put these frames into a folder of their own, without copying them."""
        shutil.rmtree(self.selected, ignore_errors=True)
        try:
            self.selected.mkdir(parents=True)
            for name in names:
                os.link(self.frames / name, self.selected / name)
        except OSError as error:
            raise SemedgeError(
                f"The frames to learn from cannot be put into {self.selected} ({error.strerror}); "
                "free some space, or write to another disk."
            ) from error

    def clear_result(self) -> None:
        """Delete what was learned, and what learning left behind."""
        for path in (self.recipe, self.sheet, self.detector, self.calibration, self._result):
            path.unlink(missing_ok=True)
        for path in (self.selected, self.learned_frames):
            shutil.rmtree(path, ignore_errors=True)

    def clear(self) -> None:
        """Delete the lesson."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            return None
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
