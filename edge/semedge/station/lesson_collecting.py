"""Collecting the frames of a lesson from a running camera."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from semedge.core.frame import Frame
from semedge.learning.collect import CollectPlan, collect_frames
from semedge.learning.frame_store import FrameStore
from semedge.learning.screening import LeftOut, Screening
from semedge.state.snapshot import camera_label
from semedge.station.frame_tap import tapped_frames
from semedge.station.lesson_files import LessonFacts, LessonFiles

Note = Callable[[list[int], dict[str, int]], None]


def collect_lesson(
    files: LessonFiles,
    facts: LessonFacts,
    latest: Callable[[], Frame | None],
    over: threading.Event,
    note: Note,
) -> None:
    """Collect until there are as many frames as wanted, or `over` is set.

    Parameters
    ----------
    files, facts
        The lesson; it may have frames already.
    latest
        Returns the newest frame of the camera.
    over
        Ends it.
    note
        Called again and again with the numbers of the frames, and with how many were left out by
        the reason.

    Raises
    ------
    SemedgeError
        Where the camera stops, its frames change their size, none can be used, or the disk is full.
    """
    store = FrameStore(files.frames, facts.source)
    shape = store[0].shape if len(store) else None
    screening = Screening()

    def note_now() -> None:
        note(numbers_of(store), _counted(facts.left_out, screening.left_out))

    def frames() -> Iterator[Frame]:
        for frame in tapped_frames(latest, camera_label(facts.camera), over, shape):
            yield frame
            note_now()

    plan = CollectPlan(facts.wanted, None, facts.every_s, continues=True)
    try:
        collect_frames(frames(), store, plan, screening)
    finally:
        note_now()


def numbers_of(store: FrameStore) -> list[int]:
    """The numbers of collected frames, which are those of their files."""
    return [int(entry.file.partition(".")[0]) for entry in store.entries]


def _counted(before: Mapping[str, int], left_out: Sequence[LeftOut]) -> dict[str, int]:
    counts = dict(before)
    for each in left_out:
        # Without its figures, so that equal reasons are counted together.
        reason = each.reason.partition(" (")[0]
        counts[reason] = counts.get(reason, 0) + 1
    return counts
