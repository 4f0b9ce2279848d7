"""From collected frames to a detector with a threshold and what it proves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from semedge.core.errors import RefusedError, SemedgeError
from semedge.core.frame import Frame
from semedge.decision.calibrate import calibrate_detector
from semedge.decision.calibration_request import CalibrationRequest
from semedge.decision.fields import split_frame
from semedge.decision.normal_scores import NormalScores
from semedge.inference.bundle import Bundle, parse_bundle
from semedge.inference.detector import Detector
from semedge.learning.false_alarms import FalseAlarm
from semedge.learning.frame_store import FrameStore
from semedge.learning.learn import CELL_PX, Learned, Step, learn
from semedge.learning.options import AUTOMATIC, LearnOptions
from semedge.learning.screening import LeftOut, Screening
from semedge.learning.sequences import Converted, Subset
from semedge.learning.split import Split, split_frames
from semedge_calibration import Calibration, best_provable_rate, frames_needed, percent

SECONDS_PER_HOUR = 3600
WEAKEST_RATE = 0.5
"""A false-alarm rate from which on a threshold is useless."""


@dataclass(frozen=True)
class LessonRequest:
    """What to learn, and which guarantee the frames should prove.

    Attributes
    ----------
    guarantee
        The false-alarm rate, and how frames are counted.
    options
        Options of the detector.
    fit_frames
        Frames that the detector is fitted to; None to choose.
    accepts_weaker
        Whether a higher rate is accepted where the frames prove no lower one.
    frame_rate_hz
        Frames a second that the station will inspect, for the rates an hour.
    workers
        Threads; the usable cores where None.
    false_alarms
        Normal frames that alarmed. They are fitted to, and never set the threshold: frames that
        were chosen for their high scores do not show how often new ones score as high.
    """

    guarantee: CalibrationRequest
    options: LearnOptions = AUTOMATIC
    fit_frames: int | None = None
    accepts_weaker: bool = False
    frame_rate_hz: float = 1.0
    workers: int | None = None
    false_alarms: Sequence[FalseAlarm] = ()


@dataclass(frozen=True)
class Proof:
    """What a number of normal frames can prove.

    Attributes
    ----------
    count
        Independent frames, fields or groups for the calibration.
    needed
        How many of them the requested rate needs.
    tolerance_rate, conformal_rate
        Smallest false-alarm rates that they prove with each method.
    """

    count: int
    needed: int
    tolerance_rate: float
    conformal_rate: float


@dataclass(frozen=True)
class Lesson:
    """What was learned.

    Attributes
    ----------
    learned
        The detector.
    bundle_content
        Its bundle.
    calibration
        Its threshold, and the guarantee.
    normal
        Scores of the frames of the calibration, and pictures of the highest.
    left_out
        Frames that were not used, with the reasons.
    split
        Frames of the store that it was fitted to, and calibrated on.
    proof
        What the frames prove.
    """

    learned: Learned
    bundle_content: bytes
    calibration: Calibration
    normal: NormalScores
    left_out: tuple[LeftOut, ...]
    split: Split
    proof: Proof


def learn_lesson(
    store: FrameStore,
    request: LessonRequest,
    screening: Screening,
    step: Step = lambda stage: None,
) -> Lesson:
    """Fit a detector to the first frames of a store, and calibrate it on the later ones.

    Parameters
    ----------
    store
        The frames, in the order of capture.
    request
        What to learn, and which guarantee to prove.
    screening
        Has looked at every frame of the store.
    step
        Called with the name of the stage after each frame.

    Raises
    ------
    RefusedError
        Where the frames prove less than what is requested.
    SemedgeError
        Where the frames cannot be used.
    """
    unlike = screening.unlike_the_others()
    usable = [index for index in range(len(store)) if index not in unlike]
    if not usable:
        raise SemedgeError("No frame can be used; give frames that show the material.")
    groups = _groups(store, usable, request.guarantee)
    needed = _needed(request.guarantee, store[usable[0]])
    split = split_frames(groups, needed, request.fit_frames)
    fit = [usable[index] for index in split.fit]
    later = [usable[index] for index in split.calibrate]
    proof = _proof(store, later, [groups[index] for index in split.calibrate], request)
    guarantee = _provable(proof, request, len(store))
    options = request.options
    if guarantee.fields is not None and options.position == "auto":
        options = dataclasses.replace(options, position="off")
    learned = learn(
        Converted(Subset(store, fit), lambda frame: frame.picture),
        options,
        false_alarms=request.false_alarms,
        left_out=store.left_out,
        workers=request.workers,
        step=step,
    )
    outlying = tuple(
        LeftOut(store.entries[fit[index]].source, "stands out from the other frames")
        for index in learned.outlying
    )
    content = learned.bundle_content
    bundle = parse_bundle(content, "the learned detector")
    normal = NormalScores()
    calibration = _calibrate(bundle, store, later, guarantee, request.workers, step, normal)
    left_out = (*screening.left_out, *unlike.values(), *outlying)
    split = Split(tuple(fit), tuple(later))
    return Lesson(learned, content, calibration, normal, left_out, split, proof)


def hourly(rate: float, frame_rate_hz: float) -> str:
    """A false-alarm rate as a number an hour."""
    number = rate * frame_rate_hz * SECONDS_PER_HOUR
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def pace(rate_hz: float, fields: bool) -> str:
    """A rate of frames, or of fields, in words."""
    unit = "field" if fields else "frame"
    return f"{rate_hz:.3g} {unit}{'' if rate_hz == 1 else 's'} a second"


def _groups(
    store: FrameStore, usable: Sequence[int], guarantee: CalibrationRequest
) -> list[Hashable]:
    """The group of each frame; its own where there are no groups."""
    if not guarantee.grouped:
        return list(usable)
    entries = [store.entries[index] for index in usable]
    first_s = entries[0].captured_at_s
    return [guarantee.group_of(each.source, each.captured_at_s - first_s) for each in entries]


def _fields_a_frame(guarantee: CalibrationRequest, frame: Frame) -> int:
    if guarantee.fields is None:
        return 1
    return sum(1 for _ in split_frame(frame, guarantee.fields, CELL_PX))


def _needed(guarantee: CalibrationRequest, frame: Frame) -> int:
    """Frames, or groups of them, that the requested rate needs."""
    needed = frames_needed(guarantee.false_alarm_rate, guarantee.confidence, guarantee.method)
    each = 1 if guarantee.grouped else _fields_a_frame(guarantee, frame)
    return -(-needed // each)


def _proof(
    store: FrameStore, later: Sequence[int], groups: Sequence[Hashable], request: LessonRequest
) -> Proof:
    guarantee = request.guarantee
    needed = frames_needed(guarantee.false_alarm_rate, guarantee.confidence, guarantee.method)
    if not later:
        raise SemedgeError(
            f"All {len(store)} frames are needed to fit the detector, and none is left to set the "
            "threshold; give more frames, or fit to fewer with --fit-frames."
        )
    count = len(set(groups))
    if not guarantee.grouped:
        count *= _fields_a_frame(guarantee, store[later[0]])
    return Proof(
        count,
        needed,
        best_provable_rate(count, guarantee.confidence, "tolerance"),
        best_provable_rate(count, guarantee.confidence, "conformal"),
    )


def _provable(proof: Proof, request: LessonRequest, collected: int) -> CalibrationRequest:
    """The guarantee that the frames prove; `RefusedError` where it is weaker and not accepted."""
    guarantee = request.guarantee
    if proof.count >= proof.needed:
        return guarantee
    rate = proof.tolerance_rate if guarantee.method == "tolerance" else proof.conformal_rate
    while frames_needed(rate, guarantee.confidence, guarantee.method) > proof.count:
        rate *= 1.0001
    speed = pace(request.frame_rate_hz, guarantee.fields is not None)
    weaker = (
        f"The {proof.count} {guarantee.unit} for the calibration prove a false-alarm rate of "
        f"{percent(rate)} (about {hourly(rate, request.frame_rate_hz)} an hour at {speed}), and "
        f"{percent(guarantee.false_alarm_rate)} needs {proof.needed}"
    )
    if rate >= WEAKEST_RATE:
        raise RefusedError(
            f"{weaker}; so few give no useful threshold. Take {proof.needed - proof.count} "
            f"more {guarantee.unit}."
        )
    if not request.accepts_weaker:
        raise RefusedError(
            f"{weaker}. Take {proof.needed - proof.count} more {guarantee.unit} "
            f"({collected} frames were given), or accept the higher rate with --accept-weaker."
        )
    return dataclasses.replace(guarantee, false_alarm_rate=rate)


def _calibrate(
    bundle: Bundle,
    store: FrameStore,
    later: Sequence[int],
    guarantee: CalibrationRequest,
    workers: int | None,
    step: Callable[[str], None],
    normal: NormalScores,
) -> Calibration:
    def frames() -> Iterator[Frame]:
        for index in later:
            yield store[index]
            step("calibrating")

    with Detector(bundle, workers=workers) as detector:
        return calibrate_detector(detector, frames(), guarantee, normal=normal)
