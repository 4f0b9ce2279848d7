"""Retention: what is stored for how long, and what is left out when the disk is full."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from semedge.core.errors import SemedgeError
from semedge.core.section import Section
from semedge.journal.journal import Journal
from semedge.journal.pruning import drop_events, drop_scores, shrink_to, used_bytes
from semedge.state.snapshot import DiskState
from semedge.station.recorder import OngoingEvent

logger = logging.getLogger(__name__)

DAY_S = 86_400.0
CLEAN_EVERY_S = 600.0
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
    most_bytes: int = Field(
        default=20_000_000_000,
        ge=1_000_000,
        description="Size of pictures and journal together, above which the oldest pictures are "
        "deleted, then the oldest scores, then the oldest delivered events.",
    )
    least_free_bytes: int = Field(
        default=500_000_000,
        ge=0,
        description="Free space on the disk below which no pictures are written, and below a "
        "quarter of it no scores; events always are.",
    )
    scores_every_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Seconds of frames for which one score is stored, the largest; with 0, that of "
        "every frame.",
    )


DEFAULT_RETENTION = RetentionSettings()


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
    """

    def __init__(
        self,
        settings: RetentionSettings,
        journal: Journal,
        pictures: Path,
        disk_full: OngoingEvent,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._pictures = pictures
        self._disk_full = disk_full
        self._clean_at_s = 0.0
        self._clock_offset_s = _clock_offset_s()

    def check_disk(self) -> DiskState:
        """The free space, and what must not be stored."""
        free_bytes = self._free_bytes()
        limit = self._settings.least_free_bytes
        if self._disk_full.is_ongoing:
            limit = round(limit * RESUME_FACTOR)
        disk = DiskState(
            free_bytes,
            pictures_stopped=free_bytes < limit,
            scores_stopped=free_bytes < limit * SCORES_SHARE,
        )
        if disk.pictures_stopped:
            self._disk_full.start(
                f"The disk has {free_bytes / 1e6:,.0f} MB free, and at least "
                f"{self._settings.least_free_bytes / 1e6:,.0f} MB are required; events are stored "
                "without pictures: free some space.",
                free_bytes=free_bytes,
            )
        else:
            self._disk_full.end("The disk has space for pictures again.", free_bytes=free_bytes)
        return disk

    def clean(self) -> None:
        """Delete what is too old or too large, if it is due."""
        if time.monotonic() < self._clean_at_s:
            return
        self._clean_at_s = time.monotonic() + CLEAN_EVERY_S
        if abs(_clock_offset_s() - self._clock_offset_s) > LARGEST_JUMP_S:
            # New files would seem old by a clock that runs ahead.
            logger.warning(
                "Nothing is deleted, because the clock has jumped since the start; check the "
                "time, and restart.",
                extra={"event": "clock-jumped"},
            )
            return
        try:
            pictures_bytes = self._drop_pictures()
            now_s = time.time()
            drop_scores(self._journal, now_s - self._settings.scores_days * DAY_S)
            drop_events(self._journal, now_s - self._settings.events_days * DAY_S)
            shrink_to(self._journal, self._settings.most_bytes - pictures_bytes)
        except (SemedgeError, OSError) as error:
            logger.warning(
                f"Old pictures, scores and events could not be deleted: {error}",
                extra={"event": "not-cleaned"},
            )

    def _drop_pictures(self) -> int:
        """Delete old pictures, then the oldest above the limit; the bytes of those that stay."""
        pictures = sorted(_pictures_in(self._pictures))
        oldest_s = time.time() - self._settings.pictures_days * DAY_S
        total_bytes = sum(size for _, size, _ in pictures)
        over_bytes = total_bytes + used_bytes(self._journal) - self._settings.most_bytes
        for changed_s, size_bytes, path in pictures:
            if changed_s >= oldest_s and over_bytes <= 0:
                break
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            total_bytes -= size_bytes
            over_bytes -= size_bytes
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        return total_bytes

    def _free_bytes(self) -> int:
        folders = (self._journal.path.parent, _existing(self._pictures))
        found = [os.statvfs(folder) for folder in folders]
        return min(each.f_bavail * each.f_frsize for each in found)


def _clock_offset_s() -> float:
    """How far the wall clock is ahead of the monotonic one."""
    return time.time() - time.monotonic()


def _pictures_in(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Modification time, size and path of the pictures in the folders of days alone."""
    for path in folder.glob("????-??-??/*.png"):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime, found.st_size, path


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
