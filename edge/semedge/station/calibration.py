"""A calibration in one call, from frames of any source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from semedge.cameras import Camera, open_camera
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame, GrayImage
from semedge.decision.calibrate import calibrate_detector
from semedge.decision.calibration_request import CalibrationRequest
from semedge.inference.detector import Detector
from semedge_calibration import Calibration, Method

Images = str | Path | Camera | Iterable[Frame | GrayImage]


def calibrate(
    detector: Detector,
    images: Images,
    *,
    false_alarm_rate: float = 0.01,
    confidence: float = 0.95,
    method: Method = "tolerance",
    group_by: str | re.Pattern[str] | None = None,
    group_every_s: float | None = None,
    fields: tuple[int, int] | None = None,
    max_frames: int | None = None,
    allow_training_frames: bool = False,
) -> Calibration:
    """Score normal frames, and choose the threshold with the guarantee that they prove.

    Parameters
    ----------
    detector
        The detector as it will be used: with its stride and its score.
    images
        Normal frames that the detector was not trained on: a folder, a glob or anything else that
        `open_camera` opens, a camera that is open already, or frames or arrays one by one.
    false_alarm_rate
        Share of normal frames that may raise an alarm.
    confidence
        Confidence of the guarantee, where the method is `tolerance`.
    method
        `tolerance`: the guarantee holds with the confidence; `conformal`: it holds on average.
    group_by
        Regular expression searched in a frame's file name; frames with the same first group (or
        match, where it has no group) count once.
    group_every_s
        Length of a time block in seconds; a live camera's frames in the same block count once.
    fields
        Width and height in pixels of the fields that frames are split into.
    max_frames
        Number of frames to read; all where None.
    allow_training_frames
        Whether to use frames that the detector was trained on, with a warning in the calibration.

    Raises
    ------
    RefusedError
        Where the frames prove less than what is requested, or the detector was trained on them.
    SemedgeError
        Where a frame, a score or the request cannot be used.
    """
    if group_by is not None and group_every_s is not None:
        raise SemedgeError(
            f"Give group_by or group_every_s, not both. Received: {group_by!r}, {group_every_s!r}"
        )
    request = CalibrationRequest(
        false_alarm_rate,
        confidence,
        method,
        _pattern(group_by),
        group_every_s,
        fields,
        allow_training_frames,
    )
    with _frames_of(images) as frames:
        skipped: list[str] = []
        if isinstance(frames, Camera):
            _check_camera(frames, max_frames, group_every_s)
            skipped = frames.skipped
        return calibrate_detector(detector, islice(frames, max_frames), request, skipped)


def _pattern(group_by: str | re.Pattern[str] | None) -> re.Pattern[str] | None:
    try:
        return None if group_by is None else re.compile(group_by)
    except re.error as error:
        raise SemedgeError(
            f"group_by must be a regular expression ({error}). Received: {group_by!r}"
        ) from error


@contextmanager
def _frames_of(images: Images) -> Iterator[Camera | Iterator[Frame]]:
    if isinstance(images, str | Path):
        with open_camera(images) as camera:
            yield camera
    elif isinstance(images, Camera):
        yield images
    else:
        yield _numbered(images)


def _numbered(images: Iterable[Frame | GrayImage]) -> Iterator[Frame]:
    for number, image in enumerate(images):
        yield image if isinstance(image, Frame) else Frame(image, number, source=f"image {number}")


def _check_camera(camera: Camera, max_frames: int | None, group_every_s: float | None) -> None:
    if max_frames is None and not camera.ends:
        raise SemedgeError(f"The frames of {camera.source} do not end; give max_frames.")
    if group_every_s is not None and not camera.timed:
        raise SemedgeError(
            f"The frames of {camera.source} have no capture time; use group_by instead "
            f"of group_every_s. Received: {group_every_s:g}"
        )
