"""A calibration from the normal frames of a camera."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone

import numpy as np

from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.frame import Frame
from semedge.decision.appearance import FrameAppearance, common_appearance
from semedge.decision.calibration_request import CalibrationRequest
from semedge.decision.health import SAME_MAGNIFICATION
from semedge.decision.normal_scores import NormalScores, score_normal_frames
from semedge.decision.outliers import high_scores, unlike_others
from semedge.inference.detector import Detector
from semedge_calibration import (
    Calibration,
    CalibrationError,
    CalibrationRefused,
    ScoredGrid,
    ThresholdResult,
    calibrate_threshold,
    correlation_warning,
    frames_needed,
)

QUANTILES = ("0", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "1")
NAMES_SHOWN = 3


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
        largest_group=normal.largest_group if normal.largest_group > 1 else None,
    )


def check_request(request: CalibrationRequest) -> int:
    """Number of independent frames for the request; `SemedgeError` where it is impossible."""
    try:
        return frames_needed(request.false_alarm_rate, request.confidence, request.method)
    except CalibrationError as error:
        raise SemedgeError(str(error)) from error


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
