"""A watch from its start to its summary: its cameras, its state, and what a kill left."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from events import EVENT
from faults import Fault
from numpy.typing import NDArray
from scripted import Collector, ScriptedCamera
from watch_bench import FILMED, NORMAL, WatchBench

from semedge.core.frame import Frame
from semedge.journal.journal import Journal
from semedge.journal.records import Counters


def test_several_cameras_are_inspected_side_by_side(bench: WatchBench) -> None:
    collector = Collector()
    cameras = {
        "left": ScriptedCamera(NORMAL, FILMED, NORMAL),
        "right": ScriptedCamera(NORMAL, NORMAL),
    }
    with Journal(bench.journal_file) as journal:
        summary = bench.prepare_cameras(cameras, journal, [collector]).run()
    assert summary.cameras["left"].frames_inspected == 3
    assert summary.cameras["right"].frames_inspected == 2
    assert [sentence.split(":")[0] for sentence in summary.sentences()] == ["left", "right"]
    assert {event.camera for event in collector.events} == {"left"}
    assert summary.counters.frames_inspected == 5


def test_the_state_shows_what_was_inspected(bench: WatchBench) -> None:
    with Journal(bench.journal_file) as journal:
        watch = bench.prepare(ScriptedCamera(NORMAL, FILMED, NORMAL), journal)
        version = watch.state.snapshot().version
        watch.run()
        snapshot = watch.state.snapshot()
    camera = snapshot.cameras["left"]
    assert snapshot.version > version
    assert (camera.activity, camera.source) == ("stopped", "script")
    assert camera.counters == Counters(3, 3, 0, 0, 1, 0, 1)
    assert [point.level for point in camera.scores] == [None, "alarm", None]
    assert camera.last is not None
    assert camera.last.frame.sequence == 2
    assert {"cut", "record", "total"} < set(camera.latency_ms)
    assert camera.active_setup is not None
    assert camera.active_setup.detector_sha256 == bench.detector.bundle.sha256
    assert [event.phase for event in snapshot.events] == ["start", "end"]
    assert snapshot.pending == {}
    assert snapshot.sinks[0].delivered == 2


def test_frames_in_colour_are_named_once(
    bench: WatchBench, caplog: pytest.LogCaptureFixture
) -> None:
    class ColourCamera(ScriptedCamera):
        def read(self) -> Frame:
            frame = super().read()
            return replace(frame, colours=np.dstack([frame.image] * 3))

    with caplog.at_level(logging.WARNING):
        bench.watch(ScriptedCamera(NORMAL, NORMAL))
        bench.watch(ColourCamera(NORMAL, NORMAL))
    said = [record.message for record in caplog.records if "is in colour" in record.message]
    assert len(said) == 1
    assert said[0].startswith("script #0 is in colour, and the detector judges gray values")


def test_a_camera_without_a_frame_gives_a_summary(bench: WatchBench) -> None:
    summary = bench.watch(ScriptedCamera())
    assert summary.latency_ms == {"left": None}
    assert summary.sentences()[0] == (
        "0 frames seen, 0 inspected, 0 skipped, 0 lost; 0 alerts; 0.0 frames/s."
    )


def test_stop_ends_the_watch_after_the_current_frame(bench: WatchBench) -> None:
    with Journal(bench.journal_file) as journal:

        def stop() -> NDArray:
            watch.stop()
            return FILMED

        collector = Collector()
        watch = bench.prepare(ScriptedCamera(NORMAL, stop, FILMED), journal, [collector])
        assert watch.run().counters.frames_inspected == 2
    assert [alert.sequence for alert in collector.alerts] == [1]


def test_a_defect_that_a_kill_cut_short_is_ended_by_the_next_watch(bench: WatchBench) -> None:
    with Journal(bench.journal_file) as journal:
        left = journal.add_event(replace(EVENT, event_id=uuid.uuid4().hex), ["collector"])
    collector = Collector()
    bench.watch(ScriptedCamera(NORMAL), [collector])
    start, end = collector.events
    assert start == left
    assert (end.event_id, end.phase, end.number) == (left.event_id, "end", 2)
    assert end.details["interrupted"] is True
    bench.watch(ScriptedCamera(NORMAL), [collector])
    assert len(collector.events) == 2


@pytest.mark.fault(Fault.CLOCK)
def test_a_clock_that_jumps_changes_neither_order_nor_durations(
    bench: WatchBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time

    def set_clock(days: float) -> Callable[[], NDArray]:
        def jump() -> NDArray:
            monkeypatch.setattr("time.time", lambda: real() + days * 86_400)
            return FILMED

        return jump

    collector = Collector()
    bench.watch(
        ScriptedCamera(FILMED, set_clock(-30), set_clock(400), NORMAL, set_clock(-800), NORMAL),
        [collector],
    )
    events = collector.events
    assert [event.phase for event in events] == ["start", "end", "start", "end"]
    assert [event.number for event in events] == [1, 2, 3, 4]
    assert all(0 <= event.duration_s < 30 for event in events)
    assert events[2].raised_at_s < events[1].raised_at_s, "the wall clock did jump"
