"""A camera that fails is tried again, and limits end the loop."""

from __future__ import annotations

import threading
import time

import pytest
from faults import Fault
from numpy.typing import NDArray
from scripted import Collector, ScriptedCamera
from watch_bench import NORMAL, WatchBench

from semedge.cameras import Camera
from semedge.core.errors import SemedgeError
from semedge.journal.journal import Journal


def test_the_watch_ends_at_its_limit_of_frames(bench: WatchBench) -> None:
    assert bench.watch(ScriptedCamera(*[NORMAL] * 5), max_frames=3).counters.frames_inspected == 3


@pytest.mark.fault(Fault.NEIGHBOUR)
def test_a_camera_that_dies_is_tried_again_and_costs_the_other_no_frame(bench: WatchBench) -> None:
    """The good camera runs until the dead one is back, and the dead one after it has failed."""
    gone = SemedgeError("The camera dead lost its cable; plug it in.")
    back = threading.Event()

    class Reopened:
        shown = "dead"
        opened = 0

        def open(self) -> Camera:
            self.opened += 1
            if self.opened == 1:
                return ScriptedCamera(NORMAL, gone)
            if not back.is_set():
                raise gone
            return ScriptedCamera(NORMAL, NORMAL)

    def paced() -> NDArray:
        time.sleep(0.02)
        if not back.is_set() and len(collector.events) > 0:
            back.set()
        return NORMAL

    collector = Collector()
    choice = Reopened()
    good = ScriptedCamera(*[paced] * 100)
    with Journal(bench.journal_file) as journal:
        watch = bench.prepare_cameras({"dead": choice, "good": good}, journal, [collector])
        started_s = time.monotonic()
        summary = watch.run()
    assert summary.cameras["good"].frames_inspected == 100
    assert summary.cameras["good"].frames_lost == 0
    assert summary.cameras["dead"].frames_inspected == 3
    assert time.monotonic() - started_s < 30
    reported = [(event.kind, event.code, event.phase, event.camera) for event in collector.events]
    assert reported == [
        ("health", "camera-failed", "start", "dead"),
        ("health", "camera-failed", "end", "dead"),
    ]
    assert collector.events[0].message == str(gone)
    assert collector.events[1].duration_s > 0
