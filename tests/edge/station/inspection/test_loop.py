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
from semedge.state.document import camera_verdict


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


@pytest.mark.fault(Fault.PART)
@pytest.mark.parametrize("fault", [TypeError("a driver's own mistake"), MemoryError(), OSError(5)])
def test_an_exception_of_a_driver_is_seen_and_the_camera_is_tried_again(
    bench: WatchBench, fault: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    class Driver:
        shown = "left"
        opened = 0

        def open(self) -> Camera:
            self.opened += 1
            return ScriptedCamera(NORMAL, fault) if self.opened == 1 else ScriptedCamera(NORMAL)

    def paced() -> NDArray:
        time.sleep(0.02)
        verdict = camera_verdict(watch.state.snapshot().cameras["left"])
        if not seen or seen[-1] != verdict:
            seen.append(verdict)
        return NORMAL

    collector = Collector()
    with Journal(bench.journal_file) as journal:
        cameras = {"left": Driver(), "right": ScriptedCamera(*[paced] * 60)}
        watch = bench.prepare_cameras(cameras, journal, [collector])
        summary = watch.run()
    assert summary.cameras["left"].frames_inspected == 2
    assert "not inspecting" in seen
    codes = [(event.code, event.phase) for event in collector.events if event.camera == "left"]
    assert codes == [("camera-failed", "start"), ("camera-failed", "end")]
    assert type(fault).__name__ in capsys.readouterr().err


@pytest.mark.fault(Fault.PART)
def test_a_camera_whose_frames_have_ended_is_not_called_good(bench: WatchBench) -> None:
    verdicts: list[str] = []

    def paced() -> NDArray:
        time.sleep(0.02)
        verdicts.append(camera_verdict(watch.state.snapshot().cameras["left"]))
        return NORMAL

    with Journal(bench.journal_file) as journal:
        cameras = {"left": ScriptedCamera(NORMAL), "right": ScriptedCamera(*[paced] * 40)}
        watch = bench.prepare_cameras(cameras, journal)
        watch.run()
    assert verdicts[-1] == "not inspecting"


@pytest.mark.fault(Fault.PART)
def test_a_thread_that_dies_ends_the_watch(bench: WatchBench) -> None:
    def dies() -> NDArray:
        raise SystemExit(7)

    def paced() -> NDArray:
        time.sleep(0.02)
        return NORMAL

    with Journal(bench.journal_file) as journal:
        cameras = {"left": ScriptedCamera(dies), "right": ScriptedCamera(*[paced] * 3000)}
        watch = bench.prepare_cameras(cameras, journal)
        started_s = time.monotonic()
        with pytest.raises(SystemExit):
            watch.run()
    assert time.monotonic() - started_s < 10


@pytest.mark.fault(Fault.PART)
def test_a_driver_that_hangs_is_not_called_good(bench: WatchBench) -> None:
    returns = threading.Event()
    verdicts: list[str] = []

    def hangs() -> NDArray:
        returns.wait(20)
        return NORMAL

    def slow() -> NDArray:
        time.sleep(0.05)
        return NORMAL

    def paced() -> NDArray:
        time.sleep(0.02)
        verdicts.append(camera_verdict(watch.state.snapshot().cameras["left"]))
        if verdicts[-1] == "not inspecting" and len(verdicts) > 10:
            returns.set()
        return NORMAL

    collector = Collector()
    with Journal(bench.journal_file) as journal:
        cameras = {
            "left": ScriptedCamera(NORMAL, hangs, *[slow] * 10),
            "right": ScriptedCamera(*[paced] * 150),
        }
        watch = bench.prepare_cameras(cameras, journal, [collector], hang_after_s=1.5)
        watch.run()
    assert returns.is_set()
    failed = [event.phase for event in collector.events if event.code == "camera-failed"]
    assert failed == ["start", "end"]
