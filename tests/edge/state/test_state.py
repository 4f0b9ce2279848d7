"""The station's state is one consistent, unchanging picture for each reader."""

from __future__ import annotations

import threading
import time
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from events import EVENT

from semedge.core.errors import SemedgeError
from semedge.core.event import Level
from semedge.core.frame import Frame
from semedge.decision.defect import Levels
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import ScoreMap
from semedge.journal.records import Counters
from semedge.state.document import camera_verdict, state_document
from semedge.state.snapshot import ActiveSetup, DiskState, Inspected, SinkState
from semedge.state.state import MAX_SCORES, StationState

GRID = PatchGrid((8, 16), 8, 8)
ACTIVE_SETUP = ActiveSetup("ab" * 32, "cd" * 32, Levels(2.0, 1.0), 2.0, "a guarantee", 0.01)


def inspected(number: int, score: float = 0.5, level: Level | None = None) -> Inspected:
    frame = Frame(np.zeros((8, 16), np.uint8), number, 100.0 + number, "test")
    scores = np.array([score, 0], np.float32)
    return Inspected(frame, ScoreMap(GRID, scores, {}), level, {"total": 10.0 + number})


def test_a_snapshot_shows_what_was_added() -> None:
    state = StationState("line 4", ["left", "right"])
    state.change("left", source="sim:1", activity="inspecting", active_setup=ACTIVE_SETUP)
    for number in range(3):
        level: Level | None = "alarm" if number == 2 else None
        state.inspected("left", inspected(number, number, level), Counters(number + 1))
    snapshot = state.snapshot()
    left, right = snapshot.cameras["left"], snapshot.cameras["right"]
    assert list(snapshot.cameras) == ["left", "right"]
    assert (left.activity, right.activity) == ("inspecting", "starting")
    assert not snapshot.inspecting
    assert [(point.sequence, point.score, point.level) for point in left.scores] == [
        (0, 0.0, None),
        (1, 1.0, None),
        (2, 2.0, "alarm"),
    ]
    assert left.last is not None
    assert left.last.frame.sequence == 2
    assert left.latency_ms["total"] == pytest.approx((11.0, 11.9))
    assert left.counters.frames_seen == 3
    assert (left.alarms.seen_last_hour, left.alarms.frames_last_hour) == (1, 3)
    assert left.frame_rate_hz > 0
    assert left.alarms.expected_per_hour == pytest.approx(0.01 * left.frame_rate_hz * 3600)


def test_below_the_threshold_nothing_is_guaranteed() -> None:
    state = StationState("line 4", ["left"])
    state.change("left", active_setup=replace(ACTIVE_SETUP, levels=Levels(1.9)))
    assert state.snapshot().cameras["left"].alarms.expected_per_hour is None


def test_a_level_that_nothing_reaches_is_not_called_good() -> None:
    state = StationState("line 4", ["left"])
    state.change("left", activity="inspecting", active_setup=ACTIVE_SETUP)
    state.inspected("left", inspected(0), Counters(1))
    assert camera_verdict(state.snapshot().cameras["left"]) == "good"
    state.change("left", active_setup=replace(ACTIVE_SETUP, levels=Levels(5000.0)))
    snapshot = state.snapshot()
    assert camera_verdict(snapshot.cameras["left"]) == "not inspecting"
    assert "5000" in state_document(snapshot)["cameras"]["left"]["reason"]


def test_the_fields_of_a_frame_are_counted_in_the_alarms_that_are_expected() -> None:
    state = StationState("line 4", ["left"])
    state.change("left", active_setup=replace(ACTIVE_SETUP, calibrated_patches=1))
    state.inspected("left", inspected(0), Counters(1))
    left = state.snapshot().cameras["left"]
    assert left.alarms.expected_per_hour == pytest.approx(2 * 0.01 * left.frame_rate_hz * 3600)


def test_the_largest_groups_are_counted_in_the_alarms_that_are_expected() -> None:
    state = StationState("line 4", ["left"])
    for largest, share in ((2.5, 0.025), (1000.0, 1.0)):
        state.change("left", active_setup=replace(ACTIVE_SETUP, largest_group=largest))
        state.inspected("left", inspected(0), Counters(1))
        left = state.snapshot().cameras["left"]
        expected = share * left.frame_rate_hz * 3600
        assert left.alarms.expected_per_hour == pytest.approx(expected)


def test_a_snapshot_never_changes() -> None:
    state = StationState("line 4", ["left"])
    before = state.snapshot()
    state.inspected("left", inspected(0), Counters(1))
    state.add_event(EVENT)
    assert before.cameras["left"].scores == ()
    assert before.events == ()
    with pytest.raises(FrozenInstanceError):
        before.qualified = False  # type: ignore[misc]


def test_the_ongoing_defect_is_shown() -> None:
    state = StationState("line 4", ["left"])
    update = replace(EVENT, phase="update")
    for event in (EVENT, update, replace(EVENT, kind="health", phase="end")):
        state.add_event(event)
    assert state.snapshot().cameras["left"].defect == update
    state.add_event(replace(EVENT, phase="end"))
    assert state.snapshot().cameras["left"].defect is None
    assert len(state.snapshot().events) == 4


def test_the_history_is_bounded() -> None:
    state = StationState("line 4", ["left"])
    for number in range(MAX_SCORES + 5):
        state.inspected("left", inspected(number), Counters(number))
    scores = state.snapshot().cameras["left"].scores
    assert (scores[0].sequence, len(scores)) == (5, MAX_SCORES)


def test_a_new_activity_begins_now_and_the_same_one_goes_on() -> None:
    state = StationState("line 4", ["left"])
    state.change("left", activity="inspecting")
    since_s = state.snapshot().cameras["left"].since_s
    assert since_s == pytest.approx(time.time(), abs=10)
    time.sleep(0.01)
    state.change("left", activity="inspecting", reason="")
    assert state.snapshot().cameras["left"].since_s == since_s
    state.change("left", activity="not inspecting", reason="no frame")
    assert state.snapshot().cameras["left"].since_s > since_s


def test_who_waits_is_woken_by_a_change() -> None:
    state = StationState("line 4", ["left"])
    version = state.snapshot().version
    assert state.wait(version, timeout_s=0.01) == version
    timer = threading.Timer(0.05, lambda: state.change_station(qualified=False))
    timer.start()
    started_s = time.monotonic()
    assert state.wait(version, timeout_s=30) == version + 1
    assert time.monotonic() - started_s < 10
    assert not state.snapshot().qualified
    timer.join()


def test_a_journal_that_fails_hides_only_the_deliveries() -> None:
    state = StationState("line 4", [])
    assert state.snapshot().sinks == ()
    state.connect(lambda: (SinkState("mqtt", failures=2),), lambda: {"mqtt": 7})
    state.change_station(disk=DiskState(10, pictures_stopped=True))
    snapshot = state.snapshot()
    assert snapshot.sinks == (SinkState("mqtt", failures=2),)
    assert snapshot.pending == {"mqtt": 7}
    assert snapshot.disk.pictures_stopped

    def fail() -> dict[str, int]:
        raise SemedgeError("The journal could not be read.")

    state.connect(tuple, fail)
    assert state.snapshot().pending == {}
