"""Collects frames of normal material from a camera or from files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.learning.frame_store import FrameStore
from semedge.learning.screening import Screening, named

MOST_LEFT_OUT_IN_A_ROW = 200


@dataclass(frozen=True)
class CollectPlan:
    """How many frames are collected, and at which pace.

    Attributes
    ----------
    frames
        Frames to collect; None for all that come.
    seconds
        Longest time; None for as long as it takes.
    every_s
        Shortest time between two frames, by their times of capture.
    continues
        Whether the source continues where it was, as a live camera does; other sources start from
        the beginning, and their frames that are in the folder already are skipped.
    """

    frames: int | None = None
    seconds: float | None = None
    every_s: float = 0.0
    continues: bool = False


def collect_frames(
    frames: Iterable[Frame],
    store: FrameStore,
    plan: CollectPlan,
    screening: Screening | None,
    step: Callable[[], None] = lambda: None,
) -> None:
    """Add frames to a store until the plan is fulfilled or the source ends.

    Parameters
    ----------
    frames
        The source.
    store
        The folder, which may have frames from an interrupted collection.
    plan
        How many, and at which pace.
    screening
        Decides which frames are left out; it sees the frames of the store first. None to take
        every frame.
    step
        Called after each frame that was added.

    Raises
    ------
    SemedgeError
        Where the source stops too early, where its frames cannot be used, or where a frame cannot
        be written.
    """
    if screening is not None:
        for stored in store:
            screening.takes(stored)
    source = iter(_due(frames, store, plan))
    in_a_row = 0
    while plan.frames is None or len(store) < plan.frames:
        try:
            frame = next(source, None)
        except SemedgeError as error:
            raise SemedgeError(_stopped(store, plan, error)) from error
        if frame is None:
            return
        if screening is not None and not screening.takes(frame):
            in_a_row += 1
            if in_a_row == MOST_LEFT_OUT_IN_A_ROW:
                raise SemedgeError(
                    f"The last {in_a_row} frames cannot be used ({named(screening.left_out[-1:])});"
                    f" {len(store)} frames are kept in {store.folder}. Check the camera's "
                    "picture, then start again."
                )
            continue
        in_a_row = 0
        to_come = 0 if plan.frames is None else plan.frames - len(store) - 1
        store.add(frame, still_to_come=to_come)
        step()


def _due(frames: Iterable[Frame], store: FrameStore, plan: CollectPlan) -> Iterator[Frame]:
    """The frames that are new to the store and far enough apart, until the time is over."""
    ends_at_s = None if plan.seconds is None else time.monotonic() + plan.seconds
    last = store.entries[-1] if store.entries else None
    done = -1 if last is None or plan.continues else last.sequence
    next_at_s = float("-inf") if last is None else last.captured_at_s + plan.every_s
    for frame in frames:
        if frame.sequence > done and (not plan.every_s or frame.captured_at_s >= next_at_s):
            next_at_s = frame.captured_at_s + plan.every_s
            yield frame
        if ends_at_s is not None and time.monotonic() >= ends_at_s:
            return


def _stopped(store: FrameStore, plan: CollectPlan, error: SemedgeError) -> str:
    wanted = "" if plan.frames is None else f" of {plan.frames}"
    return (
        f"The source stopped after {len(store)}{wanted} frames: {error} The frames are kept in "
        f"{store.folder}; start again to continue."
    )
