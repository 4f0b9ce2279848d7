"""Scores of normal frames, from which a calibration chooses the threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.decision.appearance import FrameAppearance, measure_frame
from semedge.decision.calibration_request import CalibrationRequest
from semedge.decision.contact_sheet import Thumbnail, make_thumbnail
from semedge.decision.fields import split_frame
from semedge.inference.bundle import frame_sha256
from semedge.inference.detector import Detector
from semedge.inference.score_map import ScoreMap

MOST_SHOWN = 12
"""Frames on a contact sheet."""


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

    @property
    def largest_group(self) -> float:
        """Scores of the largest group, as a multiple of the mean group's."""
        sizes = Counter(self.groups).values()
        return max(sizes) * len(sizes) / sum(sizes) if sizes else 1.0


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
        group = request.group_of(frame.source, frame.captured_at_s - first_captured_at_s)
        _score_frame(detector, frame, request, group, normal)


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
