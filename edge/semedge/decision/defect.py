"""From the scores of frames to the start and the end of a defect."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from pydantic import Field, model_validator

from semedge.core.errors import SemedgeError
from semedge.core.event import Level, Phase
from semedge.core.section import Section


@dataclass(frozen=True)
class Levels:
    """The scores above which a frame warns and alarms.

    Attributes
    ----------
    alarm
        Level of an alarm: the calibration's threshold, unless a person moved it.
    warn
        Level of a warning; None for no warnings.
    """

    alarm: float
    warn: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.alarm):
            raise SemedgeError(f"The alarm level must be a finite number. Received: {self.alarm}")
        if self.warn is not None and not self.warn < self.alarm:
            raise SemedgeError(
                f"The warn level must be below the alarm level of {self.alarm:g}. "
                f"Received: {self.warn:g}"
            )

    @property
    def lowest(self) -> float:
        """The lowest level, above which a frame counts for a defect."""
        return self.alarm if self.warn is None else self.warn

    def level_of(self, score: float) -> Level | None:
        """The level that a frame of this score reaches.

        A score equal to a level is below it, so that the calibration's guarantee holds with ties.
        NaN alarms: a detector that broke down must not pass for a line without defects.
        """
        if not score <= self.alarm:
            return "alarm"
        if self.warn is not None and score > self.warn:
            return "warn"
        return None

    def of(self, level: Level) -> float:
        """The score of a level."""
        return self.alarm if level == "alarm" or self.warn is None else self.warn


class DecisionSettings(Section):
    """`[decision]`: which frames warn and alarm, and when they are a defect."""

    alarm: float | None = Field(
        default=None,
        description="Score above which a frame alarms; by default the calibration's threshold.",
    )
    warn: float | None = Field(
        default=None, description="Score above which a frame warns; by default no frame does."
    )
    frames_above: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Number of the last `of_frames` frames above a level that are a defect.",
    )
    of_frames: int = Field(
        default=1, ge=1, le=1000, description="Number of frames that `frames_above` counts in."
    )
    end_after_frames: int = Field(
        default=1,
        ge=0,
        le=100_000,
        description="Normal frames in a row that end a defect; with 0, each frame is a separate "
        "defect.",
    )
    cool_down_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Time after a defect in which none of the same or a lower level starts; the "
        "next one reports how many frames were above a level meanwhile.",
    )
    update_every_s: float = Field(
        default=5.0,
        ge=0,
        le=86_400,
        description="Shortest time between two updates of a defect whose score grows.",
    )

    smallest_um: float | None = Field(
        default=None,
        gt=0,
        description="Longer side of a region's box below which it is no defect, on the specimen; "
        "a region is no smaller than a patch. Without the size of a pixel all regions count.",
    )

    @model_validator(mode="after")
    def _frames_above_fits_of_frames(self) -> DecisionSettings:
        if self.frames_above > self.of_frames:
            raise ValueError("frames_above must not be above of_frames")
        return self

    def levels(self, threshold: float) -> Levels:
        """The levels, with the `threshold` of the calibration."""
        return Levels(threshold if self.alarm is None else self.alarm, self.warn)


@dataclass(frozen=True)
class Defect:
    """A defect in progress.

    Attributes
    ----------
    started_s
        Monotonic time of the frame that started it.
    level
        Highest level reached so far.
    frames
        Frames above the lowest level since its start.
    peak_score
        Largest score since its start.
    suppressed
        Frames above the level during a cool-down before its start.
    """

    started_s: float
    level: Level
    frames: int
    peak_score: float
    suppressed: int = 0


@dataclass(frozen=True)
class Judgement:
    """The judgement of one frame.

    Attributes
    ----------
    level
        The level of the frame alone.
    phases
        Phases to report, in this order.
    defect
        The defect that the phases are about, or that is in progress; None where there is none.
    is_peak
        Whether the frame has the largest score of the defect so far.
    """

    level: Level | None
    phases: tuple[Phase, ...] = ()
    defect: Defect | None = None
    is_peak: bool = False


class DefectTracker:
    """Judges the frames of one camera, one by one, and tracks the defect that they show.

    Parameters
    ----------
    levels
        May be replaced between two frames.
    settings
        When a defect starts and ends.
    """

    def __init__(self, levels: Levels, settings: DecisionSettings) -> None:
        self.levels = levels
        self.settings = settings
        self._window: deque[Level | None] = deque(maxlen=settings.of_frames)
        self._defect: Defect | None = None
        self._normal_in_a_row = 0
        self._reported_s = -math.inf
        self._cool_down_until_s = -math.inf
        self._cool_down_level: Level | None = None
        self._suppressed = 0

    @property
    def defect(self) -> Defect | None:
        """The defect in progress."""
        return self._defect

    def judge(self, score: float, at_s: float) -> Judgement:
        """Judge the next frame; `at_s` is its monotonic time."""
        level = self.levels.level_of(score)
        self._window.append(level)
        if self._defect is None:
            judgement = self._judge_without_defect(level, score, at_s)
        else:
            judgement = self._judge_during_defect(self._defect, level, score, at_s)
        if judgement.phases:
            self._reported_s = at_s
        return judgement

    def end(self) -> Defect | None:
        """End the defect in progress, because no more frames come; the ended defect."""
        ended, self._defect = self._defect, None
        self._window.clear()
        self._normal_in_a_row = 0
        return ended

    def _judge_without_defect(self, level: Level | None, score: float, at_s: float) -> Judgement:
        reached = self._reached()
        if level is None or reached is None:
            return Judgement(level)
        if at_s < self._cool_down_until_s and not _is_worse(reached, self._cool_down_level):
            self._suppressed += 1
            return Judgement(level)
        above = sum(each is not None for each in self._window)
        defect = Defect(at_s, reached, above, score, self._suppressed)
        self._suppressed = 0
        self._normal_in_a_row = 0
        if self.settings.end_after_frames == 0:
            self._finish(defect, at_s)
            return Judgement(level, ("start", "end"), defect, is_peak=True)
        self._defect = defect
        return Judgement(level, ("start",), defect, is_peak=True)

    def _judge_during_defect(
        self, before: Defect, level: Level | None, score: float, at_s: float
    ) -> Judgement:
        if level is None:
            self._normal_in_a_row += 1
            if self._normal_in_a_row < self.settings.end_after_frames:
                return Judgement(level, (), before)
            self._finish(before, at_s)
            self._window.clear()
            return Judgement(level, ("end",), before)
        self._normal_in_a_row = 0
        reached = self._reached()
        worse = reached is not None and _is_worse(reached, before.level)
        is_peak = _is_larger(score, before.peak_score)
        defect = Defect(
            started_s=before.started_s,
            level=reached if worse and reached is not None else before.level,
            frames=before.frames + 1,
            peak_score=score if is_peak else before.peak_score,
            suppressed=before.suppressed,
        )
        self._defect = defect
        due = at_s - self._reported_s >= self.settings.update_every_s
        reported: tuple[Phase, ...] = ("update",) if worse or (is_peak and due) else ()
        return Judgement(level, reported, defect, is_peak)

    def _reached(self) -> Level | None:
        """The highest level that enough of the last frames reach."""
        wanted = self.settings.frames_above
        if sum(level == "alarm" for level in self._window) >= wanted:
            return "alarm"
        if sum(level is not None for level in self._window) >= wanted:
            return "warn"
        return None

    def _finish(self, defect: Defect, at_s: float) -> None:
        self._defect = None
        self._cool_down_until_s = at_s + self.settings.cool_down_s
        self._cool_down_level = defect.level


def _is_worse(level: Level, than: Level | None) -> bool:
    return than is None or (level == "alarm" and than == "warn")


def _is_larger(score: float, than: float) -> bool:
    """Whether a score is the larger one; NaN is larger than any."""
    return score > than or (math.isnan(score) and not math.isnan(than))
