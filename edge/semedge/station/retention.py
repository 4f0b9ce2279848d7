"""Retention: what is stored for how long, and what is left out when the disk is full."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.section import Section
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.journal.pruning import drop_events, drop_scores, shrink_to, used_bytes
from semedge.state.snapshot import DiskState
from semedge.station.recorder import OngoingEvent

logger = logging.getLogger(__name__)

DAY_S = 86_400.0
CLEAN_EVERY_S = 600.0
MOST_BYTES = 20_000_000_000
LEAST_FREE_BYTES = 500_000_000
FORGET_SINK_DAYS = 30.0
"""Age at which events are forgotten that are pending for a sink that is no longer there."""

LARGEST_JUMP_S = 3600.0
"""Jump of the wall clock since the start above which ages are not reliable."""

SCORES_SHARE = 0.25
"""Share of the limit for pictures below which no scores are stored either."""

RESUME_FACTOR = 1.25
"""Free bytes, as a multiple of the limit, above which pictures are written again."""


class RetentionSettings(Section):
    """`[retention]`: what is stored, and for how long."""

    pictures_days: float = Field(
        default=90.0, gt=0, le=36_500, description="Age at which pictures are deleted."
    )
    scores_days: float = Field(
        default=365.0, gt=0, le=36_500, description="Age at which scores are deleted."
    )
    events_days: float = Field(
        default=3650.0,
        gt=0,
        le=36_500,
        description="Age at which events are deleted, after every sink has accepted them.",
    )
    most_bytes: int | None = Field(
        default=None,
        ge=1_000_000,
        description="Size of pictures and journal together, above which the oldest pictures are "
        "deleted, then the oldest scores, then the oldest delivered events; by default 20 GB, or "
        "half of a smaller disk.",
    )
    least_free_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Free space on the disk below which the oldest pictures are deleted and, where "
        "that is not enough, no pictures are written, and below a quarter of it no scores; events "
        "always are. By default 500 MB, or a twentieth of a smaller disk.",
    )
    scores_every_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Seconds of frames for which one score is stored, the largest; with 0, that of "
        "every frame.",
    )


DEFAULT_RETENTION = RetentionSettings()


@dataclass(frozen=True)
class _Limits:
    """The limits of a disk: those of the settings, or by its size."""

    most_bytes: int
    least_free_bytes: int

    @classmethod
    def of(cls, settings: RetentionSettings, disk_bytes: int) -> _Limits:
        most, least = settings.most_bytes, settings.least_free_bytes
        return cls(
            min(MOST_BYTES, disk_bytes // 2) if most is None else most,
            min(LEAST_FREE_BYTES, disk_bytes // 20) if least is None else least,
        )


class Retention:
    """Monitors the space on the disk, and deletes what is too old or too large; for one thread.

    Parameters
    ----------
    settings
        What is stored, and for how long.
    journal, pictures
        The journal and the folder of the pictures, which are cleaned.
    disk_full
        Reports that the disk has no space for pictures.
    sinks
        Names of the sinks; events that are pending for others are forgotten after a month. None
        where none is forgotten.
    """

    def __init__(
        self,
        settings: RetentionSettings,
        journal: Journal,
        pictures: Path,
        disk_full: OngoingEvent,
        sinks: Collection[str] | None = None,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._pictures = pictures
        self._disk_full = disk_full
        self._sinks = sinks
        self._clean_at_s = 0.0
        self._clock_offset_s = _clock_offset_s()

    def check_disk(self) -> DiskState:
        """The free space, and what must not be stored."""
        least_free_bytes = self._limits().least_free_bytes
        limit = round(least_free_bytes * (RESUME_FACTOR if self._disk_full.is_ongoing else 1))
        free_bytes = self._free_bytes()
        if free_bytes < limit:
            self._make_room(round(least_free_bytes * RESUME_FACTOR))
            free_bytes = self._free_bytes()
        disk = DiskState(
            free_bytes,
            pictures_stopped=free_bytes < limit,
            scores_stopped=free_bytes < limit * SCORES_SHARE,
        )
        if disk.pictures_stopped:
            self._disk_full.start(
                f"The disk has {free_bytes / 1e6:,.0f} MB free, and at least "
                f"{least_free_bytes / 1e6:,.0f} MB are required; events are stored "
                "without pictures: free some space.",
                free_bytes=free_bytes,
            )
        else:
            self._disk_full.end("The disk has space for pictures again.", free_bytes=free_bytes)
        return disk

    def clean(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Delete what is too old or too large, if it is due, while `go_on` returns true."""
        if time.monotonic() < self._clean_at_s:
            return
        self._clean_at_s = time.monotonic() + CLEAN_EVERY_S
        # New files would seem old by a clock that runs ahead.
        by_age = abs(_clock_offset_s() - self._clock_offset_s) <= LARGEST_JUMP_S
        if not by_age:
            logger.warning(
                "Nothing is deleted by its age, because the clock has jumped since the start; "
                "check the time, and restart.",
                extra={"event": "clock-jumped"},
            )
        try:
            most_bytes = self._limits().most_bytes
            pictures_bytes = self._drop_pictures(most_bytes, by_age=by_age)
            if by_age:
                now_s = time.time()
                if self._sinks is not None:
                    self._journal.forget_sinks_but(self._sinks, now_s - FORGET_SINK_DAYS * DAY_S)
                drop_scores(self._journal, now_s - self._settings.scores_days * DAY_S, go_on)
                drop_events(self._journal, now_s - self._settings.events_days * DAY_S, go_on)
            shrink_to(self._journal, most_bytes - pictures_bytes, go_on)
        except (SemedgeError, OSError) as error:
            logger.warning(
                f"Old pictures, scores and events could not be deleted: {error}",
                extra={"event": "not-cleaned"},
            )

    def _drop_pictures(self, most_bytes: int, *, by_age: bool) -> int:
        """Delete old pictures, then the oldest above the limit; the bytes of what stays.

        Marked frames count, and are never deleted.
        """
        pictures = sorted(_pictures_in(self._pictures))
        marked_bytes = MarkedFrames(self._pictures).size_bytes()
        oldest_s = time.time() - self._settings.pictures_days * DAY_S if by_age else -math.inf
        total_bytes = marked_bytes + sum(size for _, size, _ in pictures)
        over_bytes = total_bytes + used_bytes(self._journal) - most_bytes
        for changed_s, size_bytes, path in pictures:
            if changed_s >= oldest_s and over_bytes <= 0:
                break
            _delete(path)
            total_bytes -= size_bytes
            over_bytes -= size_bytes
        return total_bytes

    def _make_room(self, free_bytes: int) -> None:
        """Delete the oldest pictures until their disk has this much free, or none is left."""
        needed_bytes = free_bytes - _free_bytes_in(_existing(self._pictures))
        for _, size_bytes, path in sorted(_pictures_in(self._pictures)):
            if needed_bytes <= 0:
                return
            _delete(path)
            needed_bytes -= size_bytes

    def _folders(self) -> tuple[Path, Path]:
        return _existing(self._journal.path.parent), _existing(self._pictures)

    def _free_bytes(self) -> int:
        return min(_free_bytes_in(folder) for folder in self._folders())

    def _limits(self) -> _Limits:
        found = [os.statvfs(folder) for folder in self._folders()]
        return _Limits.of(self._settings, min(each.f_blocks * each.f_frsize for each in found))


def _clock_offset_s() -> float:
    """How far the wall clock is ahead of the monotonic one."""
    return time.time() - time.monotonic()


def _pictures_in(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Modification time, size and path of the pictures in the folders of days alone."""
    for path in folder.glob("????-??-??/*.png"):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime, found.st_size, path


def _delete(picture: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        picture.unlink()
    with contextlib.suppress(OSError):
        picture.parent.rmdir()


def _free_bytes_in(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
