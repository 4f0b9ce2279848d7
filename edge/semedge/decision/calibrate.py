"""A calibration from the normal frames of a camera."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.frame import Frame
from semedge.decision.appearance import FrameAppearance, common_appearance, measure_frame
from semedge.decision.contact_sheet import Thumbnail, make_thumbnail
from semedge.decision.fields import split_frame
from semedge.decision.health import SAME_MAGNIFICATION
from semedge.decision.outliers import high_scores, unlike_others
from semedge.inference.bundle import frame_sha256
from semedge.inference.detector import Detector
from semedge.inference.score_map import ScoreMap
from semedge_calibration import (
    Calibration,
    CalibrationError,
    CalibrationRefused,
    Method,
    ScoredGrid,
    ThresholdResult,
    calibrate_threshold,
    correlation_warning,
    frames_needed,
)

QUANTILES = ("0", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "1")
NAMES_SHOWN = 3
MOST_SHOWN = 12
"""Frames on a contact sheet."""


@dataclass(frozen=True)
class CalibrationRequest:
    """The guarantee to prove, and how the normal frames are counted.

    Attributes
    ----------
    false_alarm_rate, confidence, method
        The guarantee.
    group_by
        Regular expression searched in a frame's file name; frames with the same first group (or
        match, where it has no group) count once.
    group_every_s
        Length of a time block in seconds; frames captured in the same block count once.
    fields
        Width and height in pixels of the fields that frames are split into.
    allow_training_frames
        Whether to use frames that the detector was trained on, with a warning in the file.
    bits
        Bits of a pixel that the frames are read with, for whoever uses the calibration.
    """

    false_alarm_rate: float = 0.01
    confidence: float = 0.95
    method: Method = "tolerance"
    group_by: re.Pattern[str] | None = None
    group_every_s: float | None = None
    fields: tuple[int, int] | None = None
    allow_training_frames: bool = False
    bits: int | None = None

    @property
    def unit(self) -> str:
        """What the guarantee counts, in the plural."""
        scored = "frames"
        if self.fields is not None:
            scored = f"{self.fields[0]}x{self.fields[1]} px fields"
        return f"groups of {scored}" if self.grouped else scored

    @property
    def assumption(self) -> str | None:
        """What the guarantee assumes; None where it assumes nothing."""
        if self.fields is None or self.grouped:
            return None
        return "the fields of a frame are far enough apart to be independent"

    @property
    def grouped(self) -> bool:
        """Whether frames are counted in groups."""
        return self.group_by is not None or self.group_every_s is not None


@dataclass
class NormalScores:
    """Scores of normal frames, collected one by one.

    Attributes
    ----------
    scores
        One score for each frame, or for each field.
    groups
        Key of the group of each score; the score's own number where there are no groups.
    shape
        Height and width of what was scored.
    frames
        Number of frames scored.
    appearances
        Measurements of each frame.
    training
        Sources of frames that the detector was trained on.
    copies
        Sources of frames whose pixels are those of an earlier frame.
    sources, frame_scores
        Name of each frame that was scored, and the highest score in it.
    highest
        The frames with the highest scores, the highest first.
    pixel_sizes_um
        Size of a pixel of each frame that has one.
    """

    scores: list[float] = field(default_factory=list)
    groups: list[Hashable] = field(default_factory=list)
    shape: tuple[int, int] | None = None
    frames: int = 0
    appearances: list[FrameAppearance] = field(default_factory=list)
    training: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    frame_scores: list[float] = field(default_factory=list)
    highest: list[Thumbnail] = field(default_factory=list)
    pixel_sizes_um: list[float] = field(default_factory=list)


def calibrate_detector(
    detector: Detector,
    frames: Iterable[Frame],
    request: CalibrationRequest,
    skipped: Sequence[str] = (),
    normal: NormalScores | None = None,
) -> Calibration:
    """Score normal frames and choose the threshold.

    Parameters
    ----------
    detector
        The detector as it will be used.
    frames
        Normal material.
    request
        The guarantee to prove.
    skipped
        Files that could not be decoded, each with the reason; read after the last frame.
    normal
        Collects the scores, for a caller that shows them too.

    Raises
    ------
    RefusedError
        Where the frames prove less than what is requested, or the detector was trained on them.
    SemedgeError
        Where a frame, a score or the request cannot be used.
    """
    check_request(request)
    normal = NormalScores() if normal is None else normal
    score_normal_frames(detector, frames, request, normal)
    if normal.training and not request.allow_training_frames:
        raise RefusedError(
            f"{_counted(normal.training, 'frame')} of the calibration "
            f"{'was' if len(normal.training) == 1 else 'were'} among the frames that the detector "
            f"was trained on ({_named(normal.training)}), and score lower than new ones; give "
            "other normal frames, or accept it with --allow-training-frames."
        )
    if normal.shape is None:
        raise SemedgeError("No normal frame was read; give a folder or a camera that has some.")
    left_out = [reason.removesuffix(".") for reason in skipped]
    result = _choose_threshold(normal, request, left_out)
    return Calibration(
        threshold=result.threshold,
        method=result.method,
        false_alarm_rate=result.false_alarm_rate,
        confidence=result.confidence,
        proved_rate=result.proved_rate,
        rank=result.rank,
        groups=result.groups,
        frames=normal.frames,
        guarantee=result.sentence(request.unit, request.assumption),
        group_by=None if request.group_by is None else request.group_by.pattern,
        group_every_s=request.group_every_s,
        fields=None if request.fields is None else (request.fields[1], request.fields[0]),
        detector_sha256=detector.bundle.sha256,
        grid=ScoredGrid(detector.patch_px, detector.stride_px, normal.shape),
        score_name=detector.score_name,
        runtime=detector.runtime,
        quantiles={
            name: float(np.quantile(normal.scores, float(name), method="lower"))
            for name in QUANTILES
        },
        appearance=common_appearance(_usual(normal.appearances)),
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        warnings=tuple(_warnings(normal, request, left_out)),
        bits=request.bits,
        pixel_size_um=_common_pixel_size(normal),
    )


def check_request(request: CalibrationRequest) -> int:
    """Number of independent frames for the request; `SemedgeError` where it is impossible."""
    try:
        return frames_needed(request.false_alarm_rate, request.confidence, request.method)
    except CalibrationError as error:
        raise SemedgeError(str(error)) from error


def score_normal_frames(
    detector: Detector,
    frames: Iterable[Frame],
    request: CalibrationRequest,
    normal: NormalScores,
) -> None:
    """Score every frame, or every field of it, and add the results to `normal`.

    Copies of an earlier frame are left out, since they add nothing new. Frames of the training
    are left out too, unless the request allows them; after the first, nothing more is scored,
    because the calibration will be refused.
    """
    trained_on = set(detector.bundle.manifest.training.frame_sha256)
    seen: set[str] = set()
    first_captured_at_s: float | None = None
    for frame in frames:
        if first_captured_at_s is None:
            first_captured_at_s = frame.captured_at_s
        digest = frame_sha256(frame.image)
        if digest in seen:
            normal.copies.append(frame.source)
            continue
        seen.add(digest)
        if digest in trained_on:
            normal.training.append(frame.source)
        if normal.training and not request.allow_training_frames:
            continue
        group = group_of(frame, request, frame.captured_at_s - first_captured_at_s)
        _score_frame(detector, frame, request, group, normal)


def group_of(frame: Frame, request: CalibrationRequest, elapsed_s: float) -> Hashable | None:
    """The group of a frame that was captured `elapsed_s` after the first; None without groups."""
    if request.group_every_s is not None:
        return math.floor(elapsed_s / request.group_every_s)
    if request.group_by is None:
        return None
    name = Path(frame.source).name
    match = request.group_by.search(name)
    key = match and match[1 if request.group_by.groups else 0]
    if key is None:
        raise SemedgeError(
            f"The group of {name} is not known, because --group-by {request.group_by.pattern!r} "
            "does not match it; choose an expression that matches every file name."
        )
    return key


def _score_frame(
    detector: Detector,
    frame: Frame,
    request: CalibrationRequest,
    group: Hashable | None,
    normal: NormalScores,
) -> None:
    parts: Iterable[Frame] = (frame,)
    if request.fields is not None:
        parts = split_frame(frame, request.fields, detector.patch_px)
    best: tuple[Frame, ScoreMap] | None = None
    for part in parts:
        if normal.shape is None:
            normal.shape = part.shape
        if part.shape != normal.shape:
            raise SemedgeError(
                f"{frame.source} has {part.shape[1]}x{part.shape[0]} px where the frames before it "
                f"have {normal.shape[1]}x{normal.shape[0]} px; calibrate on frames of the size "
                "that the line's camera gives."
            )
        normal.groups.append(len(normal.scores) if group is None else group)
        score_map = detector.score(part)
        normal.scores.append(score_map.frame_score)
        if best is None or score_map.frame_score > best[1].frame_score:
            best = part, score_map
    normal.frames += 1
    normal.appearances.append(measure_frame(frame))
    if best is not None:
        _note_score(normal, frame, *best)


def _note_score(normal: NormalScores, frame: Frame, part: Frame, score_map: ScoreMap) -> None:
    normal.sources.append(frame.source)
    if frame.pixel_size_um is not None:
        normal.pixel_sizes_um.append(frame.pixel_size_um)
    normal.frame_scores.append(score_map.frame_score)
    highest = normal.highest
    if len(highest) < MOST_SHOWN or score_map.frame_score > highest[-1].score:
        highest.append(make_thumbnail(part, score_map.frame_score, score_map.peak_px))
        highest.sort(key=lambda thumbnail: -thumbnail.score)
        del highest[MOST_SHOWN:]


def _usual(appearances: Sequence[FrameAppearance]) -> list[FrameAppearance]:
    """The frames that look like the others: one black frame would hide every dark picture."""
    unlike = unlike_others(appearances)
    return [each for index, each in enumerate(appearances) if index not in unlike]


def _choose_threshold(
    normal: NormalScores, request: CalibrationRequest, skipped: Sequence[str]
) -> ThresholdResult:
    try:
        return calibrate_threshold(
            normal.scores,
            groups=normal.groups,
            false_alarm_rate=request.false_alarm_rate,
            confidence=request.confidence,
            method=request.method,
            unit=request.unit,
        )
    except CalibrationRefused as error:
        left_out = "; ".join(_left_out(normal, skipped))
        note = f" ({left_out})." if left_out else "."
        raise RefusedError(str(error).removesuffix(".") + note) from error
    except CalibrationError as error:
        raise SemedgeError(str(error)) from error


def _warnings(
    normal: NormalScores, request: CalibrationRequest, skipped: Sequence[str]
) -> Iterator[str]:
    if normal.training:
        yield (
            f"{_counted(normal.training, 'frame')} had been trained on "
            f"({_named(normal.training)}), so new frames may raise more alarms than guaranteed"
        )
    if not request.grouped and (warning := correlation_warning(normal.scores)):
        remedy = "group what was taken together with --group-by or --group-every-s"
        if request.fields is not None:
            remedy = "the fields are not independent: calibrate on more frames without --fields"
        yield f"{warning}; {remedy}"
    if request.fields is not None:
        fields_a_frame = math.ceil(len(normal.scores) / normal.frames)
        yield (
            f"the guarantee is for one field, and a frame of {fields_a_frame} fields may raise an "
            f"alarm about {fields_a_frame} times as often"
        )
    sizes = normal.pixel_sizes_um
    if sizes and max(sizes) > (1 + SAME_MAGNIFICATION) * min(sizes):
        yield (
            f"the frames have pixels of {min(sizes):.4g} to {max(sizes):.4g} um; calibrate on "
            "frames of one magnification"
        )
    yield from _suspicious(normal)
    yield from _left_out(normal, skipped)


def _common_pixel_size(normal: NormalScores) -> float | None:
    """The size of a pixel, where every frame has the same."""
    sizes = normal.pixel_sizes_um
    if len(sizes) < normal.frames or max(sizes) > (1 + SAME_MAGNIFICATION) * min(sizes):
        return None
    return float(np.median(sizes))


def _suspicious(normal: NormalScores) -> Iterator[str]:
    """Frames that may not be normal."""
    unlike = unlike_others(normal.appearances)
    others = normal.frames - len(unlike)
    for index, what in [*unlike.items()][:NAMES_SHOWN]:
        yield (
            f"{normal.sources[index]} {what}, unlike the {others:,} others, and does not count "
            "for the limits of the camera's health; leave it out unless it is normal"
        )
    if len(unlike) > NAMES_SHOWN:
        yield f"{len(unlike) - NAMES_SHOWN:,} more frames look unlike the others"


def note_on_high_scores(normal: NormalScores) -> str:
    """The sentence on frames whose scores are far above the others; empty where there are none."""
    high = high_scores(normal.frame_scores)
    if not high:
        return ""
    named = [f"{normal.sources[index]} ({normal.frame_scores[index]:.5g})" for index in high]
    return (
        f"{_counted(high, 'frame scores', 'frames score')} far above the median of "
        f"{float(np.median(normal.frame_scores)):.5g}: {_named(named)}; leave out what is not "
        "normal."
    )


def _left_out(normal: NormalScores, skipped: Sequence[str]) -> Iterator[str]:
    if normal.copies:
        copies = _counted(normal.copies, "copy", "copies")
        yield f"left out: {copies} of earlier frames, {_named(normal.copies)}"
    if skipped:
        yield f"left out: {_counted(skipped, 'unreadable file')}, {_named(skipped)}"


def _counted(items: Sequence[object], singular: str, plural: str | None = None) -> str:
    return f"{len(items):,} {singular if len(items) == 1 else plural or f'{singular}s'}"


def _named(sources: Sequence[str]) -> str:
    rest = len(sources) - NAMES_SHOWN
    return ", ".join(sources[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
