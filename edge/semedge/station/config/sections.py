"""Tables of the station file about judging, trusting and keeping."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from semedge.core.section import Section
from semedge.decision.defect import DecisionSettings, Levels
from semedge.decision.drift import DriftSettings
from semedge.journal.records import KEEP, RetentionSettings


class DecisionSection(Section):
    """`[decision]`: which frames warn and alarm, and when they are a defect."""

    alarm: float | None = Field(
        default=None,
        description="A frame that scores above it alarms; the calibration's threshold where "
        "absent.",
    )
    warn: float | None = Field(
        default=None, description="A frame that scores above it warns; without it, none does."
    )
    frames_above: int = Field(
        default=1, ge=1, le=1000, description="So many of the last `of_frames` frames are a defect."
    )
    of_frames: int = Field(
        default=1, ge=1, le=1000, description="Frames that are looked at for `frames_above`."
    )
    end_after_frames: int = Field(
        default=1,
        ge=0,
        le=100_000,
        description="Normal frames in a row that end a defect; with 0 every frame is by itself.",
    )
    cool_down_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="After a defect's end, time in which no further one of its level is told.",
    )
    update_every_s: float = Field(
        default=5.0,
        ge=0,
        le=86_400,
        description="Shortest time between two updates of a defect whose score grows.",
    )

    def settings(self) -> DecisionSettings:
        """When frames above a level are a defect."""
        return DecisionSettings(
            frames_above=self.frames_above,
            of_frames=self.of_frames,
            end_after_frames=self.end_after_frames,
            cool_down_s=self.cool_down_s,
            update_every_s=self.update_every_s,
        )

    def levels(self, threshold: float) -> Levels:
        """The levels, where the calibration says `threshold`."""
        return Levels(threshold if self.alarm is None else self.alarm, self.warn)


class ChallengeSection(Section):
    """`[challenge]`: samples that a camera must judge rightly before it is trusted."""

    golden: Path | None = Field(default=None, description="Folder of good samples.")
    defects: Path | None = Field(default=None, description="Folder of bad samples.")
    most_golden_alarms: int = Field(
        default=0, ge=0, description="Good samples that may alarm all the same."
    )
    least_found: float = Field(
        default=1.0, ge=0, le=1, description="Share of the bad samples that must alarm."
    )


class DriftSection(Section):
    """`[drift]`: when the scores are no longer those of the calibration."""

    window_frames: int = Field(
        default=1000, ge=50, le=1_000_000, description="Frames that are tested together."
    )
    significance: float = Field(
        default=1e-4,
        gt=0,
        lt=0.01,
        description="Probability at most that frames of unchanged material are called drift.",
    )

    def settings(self) -> DriftSettings:
        """When a difference is called drift."""
        return DriftSettings(self.window_frames, self.significance)


class RetentionSection(Section):
    """`[retention]`: what is kept, and for how long."""

    pictures_days: float = Field(
        default=KEEP.pictures_days, gt=0, le=36_500, description="Age at which pictures go."
    )
    scores_days: float = Field(
        default=KEEP.scores_days, gt=0, le=36_500, description="Age at which scores go."
    )
    events_days: float = Field(
        default=KEEP.events_days,
        gt=0,
        le=36_500,
        description="Age at which events go, once every sink has taken them.",
    )
    most_bytes: int = Field(
        default=KEEP.most_bytes,
        ge=1_000_000,
        description="Size of pictures and journal together, beyond which the oldest pictures go, "
        "then the oldest scores, then the oldest delivered events.",
    )
    least_free_bytes: int = Field(
        default=KEEP.least_free_bytes,
        ge=0,
        description="Room on the disk below which no picture is written, and below a quarter of "
        "it no score; events always are.",
    )
    scores_every_s: float = Field(
        default=KEEP.scores_every_s,
        ge=0,
        le=86_400,
        description="One score is kept, the largest, for the frames of so many seconds; with 0 "
        "that of every frame.",
    )

    def settings(self) -> RetentionSettings:
        """What is kept."""
        return RetentionSettings(**self.model_dump())
