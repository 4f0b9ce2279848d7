"""From the camera to the alert: nothing is lost, and nothing is silent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bundles import FRAME_SHAPE, normal_frames, with_film
from events import EVENT
from faults import Fault
from numpy.typing import NDArray
from scripted import CAPTURED_AT_S, Collector, Ready, ScriptedCamera, wait_until

from semedge.cameras import Camera, CameraStalledError
from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.decision.calibration_file import load_calibration
from semedge.decision.defect import DecisionSettings, Levels
from semedge.decision.drift import DriftSettings
from semedge.inference.detector import Detector
from semedge.journal.journal import Journal
from semedge.journal.records import Counters
from semedge.sinks.base import Sink
from semedge.station.camera_setup import DEFAULT_DRIFT, CameraChoice, Setup, StationCamera
from semedge.station.inspection.limits import RunLimits
from semedge.station.retention import RetentionSettings
from semedge.station.watch import Watch, WatchSettings, WatchSummary

NORMAL = normal_frames()[0]
FILMED = with_film(NORMAL)
STALL = CameraStalledError("The camera script gave no frame for 0.01 s.")


@dataclass(frozen=True)
class Bench:
    """A detector, its calibration, and a folder to write to."""

    detector: Detector
    calibration_file: Path
    folder: Path

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.sqlite"

    def watch(
        self, camera: ScriptedCamera, sinks: list[Sink] | None = None, **settings: Any
    ) -> WatchSummary:
        with Journal(self.journal_file) as journal:
            return self.prepare(camera, journal, sinks, **settings).run()

    def prepare(
        self,
        camera: ScriptedCamera,
        journal: Journal,
        sinks: list[Sink] | None = None,
        *,
        pictures: Path | None = None,
        decision: dict[str, Any] | None = None,
        levels: Levels | None = None,
        drift: DriftSettings = DEFAULT_DRIFT,
        **limits: Any,
    ) -> Watch:
        return self.prepare_lines(
            {"left": camera},
            journal,
            sinks,
            pictures=pictures,
            decision=decision,
            levels=levels,
            drift=drift,
            **limits,
        )

    def prepare_lines(
        self,
        cameras: Mapping[str, CameraChoice | ScriptedCamera],
        journal: Journal,
        sinks: list[Sink] | None = None,
        *,
        pictures: Path | None = None,
        decision: dict[str, Any] | None = None,
        levels: Levels | None = None,
        drift: DriftSettings = DEFAULT_DRIFT,
        **limits: Any,
    ) -> Watch:
        calibration = load_calibration(self.calibration_file, self.detector)
        setups = {
            name: Setup(
                Ready(camera) if isinstance(camera, ScriptedCamera) else camera,
                self.detector,
                calibration,
                levels or Levels(calibration.threshold),
                DecisionSettings(**(decision or {})),
                drift=drift,
            )
            for name, camera in cameras.items()
        }
        return Watch(
            [StationCamera(name, setup) for name, setup in setups.items()],
            journal,
            [Collector()] if sinks is None else sinks,
            WatchSettings(
                pictures or self.folder / "pictures",
                "line 4",
                RunLimits(**limits),
                RetentionSettings(least_free_bytes=0),
            ),
        )

    def rows(self, query: str) -> list[tuple]:
        connection = sqlite3.connect(self.journal_file)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def detector(tiny_file: Path) -> Iterator[Detector]:
    with Detector.load(tiny_file, workers=1) as loaded:
        yield loaded


@pytest.fixture
def bench(detector: Detector, calibration_file: Path, tmp_path: Path) -> Bench:
    return Bench(detector, calibration_file, tmp_path)


def test_a_frame_that_is_not_normal_becomes_an_alert_with_pictures(bench: Bench) -> None:
    collector = Collector()
    summary = bench.watch(ScriptedCamera(NORMAL, FILMED, NORMAL), [collector])
    alert, end = collector.events
    assert (alert.phase, end.phase) == ("start", "end")
    assert (alert.station, alert.camera) == ("line 4", "left")
    assert (alert.sequence, alert.source) == (1, "script #1")
    assert alert.captured_at_s == CAPTURED_AT_S + 1
    assert alert.raised_at_s == pytest.approx(time.time(), abs=60)
    assert alert.frame_score > alert.threshold
    assert 90 <= alert.peak_px[0] <= 154
    assert 60 <= alert.peak_px[1] <= 124
    assert alert.detector_sha256 == bench.detector.bundle.sha256
    assert alert.frame_picture is not None
    assert alert.overlay_picture is not None
    assert Path(alert.frame_picture).is_absolute()
    kept = cv2.imread(alert.frame_picture, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(kept, FILMED)
    overlay = cv2.imread(alert.overlay_picture, cv2.IMREAD_UNCHANGED)
    assert overlay.shape == (FRAME_SHAPE[0], 2 * FRAME_SHAPE[1], 3)
    assert summary.counters == Counters(3, 3, 0, 0, 1, 0, 1)
    assert bench.rows("SELECT frames_seen, alerts, ended_at IS NOT NULL FROM runs") == [(3, 1, 1)]
    assert bench.rows("SELECT document FROM events") == [
        (json.dumps(event.to_document()),) for event in collector.events
    ]
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(0,)]


def test_16_bit_frames_are_kept_with_16_bits(bench: Bench) -> None:
    collector = Collector()
    deep = with_film(NORMAL.astype(np.uint16) * 257)
    bench.watch(ScriptedCamera(deep), [collector])
    assert collector.alerts[0].frame_picture is not None
    kept = cv2.imread(collector.alerts[0].frame_picture, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(kept, deep)


def test_pictures_and_journal_are_there_before_the_delivery(bench: Bench) -> None:
    def check(alert: Event) -> None:
        assert alert.frame_picture is not None
        assert alert.overlay_picture is not None
        assert Path(alert.frame_picture).stat().st_size > 0
        assert Path(alert.overlay_picture).stat().st_size > 0
        assert bench.rows(f"SELECT 1 FROM events WHERE number = {alert.number}") == [(1,)]

    collector = Collector(on_deliver=check)
    bench.watch(ScriptedCamera(FILMED, NORMAL, FILMED), [collector])
    assert [alert.sequence for alert in collector.alerts] == [0, 2]


def test_alerts_of_an_earlier_run_go_out_first(bench: Bench) -> None:
    def refuse(alert: Event) -> None:
        raise OSError("no broker")

    bench.watch(ScriptedCamera(FILMED, NORMAL, FILMED), [Collector(on_deliver=refuse)])
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(4,)]
    collector = Collector()
    bench.watch(ScriptedCamera(NORMAL, FILMED), [collector])
    assert [alert.sequence for alert in collector.alerts] == [0, 2, 1]
    assert [event.number for event in collector.events] == [1, 2, 3, 4, 5, 6]
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(0,)]


def test_a_sink_that_refuses_is_tried_again(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    refusals = iter([SemedgeError("broker away"), OSError("still away")])
    taken = threading.Event()

    def refuse_twice(alert: Event) -> None:
        for error in refusals:
            raise error
        taken.set()

    def normal_once_taken() -> NDArray:
        assert taken.wait(30), "the alert was never tried again"
        return NORMAL

    flaky, steady = Collector("flaky", on_deliver=refuse_twice), Collector("steady")
    bench.watch(ScriptedCamera(FILMED, normal_once_taken), [flaky, steady])
    assert len(flaky.alerts) == len(steady.alerts) == 1
    assert bench.rows(
        "SELECT sink, attempts, last_error FROM deliveries ORDER BY sink, number"
    ) == [
        ("flaky", 3, None),
        ("flaky", 1, None),
        ("steady", 1, None),
        ("steady", 1, None),
    ]
    said = capsys.readouterr().err
    assert said.count("Events wait: flaky did not take one (broker away); trying again.") == 1
    assert said.count("Events go out to flaky again.") == 1


def test_a_sink_with_a_fault_of_its_own_is_said_and_the_inspection_goes_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(alert: Event) -> None:
        raise ZeroDivisionError("a fault in the sink's code")

    faulty = Collector(on_deliver=fail)
    assert bench.watch(ScriptedCamera(FILMED, NORMAL), [faulty]).counters.frames_inspected == 2
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(2,)]
    assert "ZeroDivisionError: a fault in the sink's code" in capsys.readouterr().err
    assert faulty.closed


def test_a_slow_sink_does_not_hold_up_the_end(bench: Bench) -> None:
    released = threading.Event()
    started_s = time.monotonic()
    try:
        stuck = Collector(on_deliver=lambda alert: released.wait(30) and None)
        summary = bench.watch(ScriptedCamera(FILMED, FILMED), [stuck])
    finally:
        released.set()
    assert time.monotonic() - started_s < 10
    assert summary.counters.alerts == 1
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(2,)]


def test_without_alerts_the_delivery_rests(bench: Bench) -> None:
    def pause() -> NDArray:
        time.sleep(1.0)
        return NORMAL

    with Journal(bench.journal_file) as journal:
        watch = bench.prepare(ScriptedCamera(pause), journal)
        spent_s = time.process_time()
        watch.run()
        assert time.process_time() - spent_s < 0.5


def test_pictures_that_cannot_be_written_are_said_and_the_alert_is_kept(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.folder / "occupied").write_text("a file where the folder should be")
    collector = Collector()
    bench.watch(ScriptedCamera(FILMED), [collector], pictures=bench.folder / "occupied")
    assert collector.alerts[0].frame_picture is None
    assert collector.alerts[0].overlay_picture is None
    assert capsys.readouterr().err.count("The event has no picture: ") == 2
    assert bench.rows("SELECT count(*) FROM events") == [(2,)]


@pytest.mark.fault(Fault.DISK)
def test_a_disk_full_of_pictures_does_not_stop_the_alerts(
    bench: Bench, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = with_film(np.random.default_rng(1).integers(0, 255, (1024, 1024), np.uint8))
    collector = Collector()
    bench.watch(
        ScriptedCamera(*[noise] * 3),
        [collector],
        pictures=small_disk,
        decision={"end_after_frames": 0},
    )
    assert len(collector.alerts) == 3
    assert collector.alerts[0].frame_picture is not None
    assert collector.alerts[-1].overlay_picture is None
    assert "No space left on device" in capsys.readouterr().err
    whole = [path for path in small_disk.rglob("*.png") if cv2.imread(str(path)) is not None]
    named = [
        picture
        for alert in collector.alerts
        for picture in (alert.frame_picture, alert.overlay_picture)
        if picture is not None
    ]
    assert sorted(map(str, whole)) == sorted(named)
    assert [path for path in small_disk.rglob("*") if path.is_file()] == whole


@pytest.mark.fault(Fault.DISK)
def test_a_full_disk_stops_no_alert_and_what_it_missed_is_written_later(
    bench: Bench, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semedge.station.watch.COUNT_EVERY_S", 0.2)
    filler = small_disk / "filler"
    collector = Collector()

    def heard(code: str, phase: str) -> bool:
        return any((event.code, event.phase) == (code, phase) for event in collector.events)

    def fill_the_disk() -> NDArray:
        (small_disk / "journal.sqlite-reserve").unlink()
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        return FILMED

    def once_it_is_told() -> NDArray:
        wait_until(lambda: heard("journal-unwritable", "start"))
        return FILMED

    def make_room() -> NDArray:
        filler.unlink()
        wait_until(lambda: heard("journal-unwritable", "end"))
        return FILMED

    camera = ScriptedCamera(fill_the_disk, NORMAL, once_it_is_told, NORMAL, make_room)
    path = small_disk / "journal.sqlite"
    with Journal(path) as journal:
        bench.prepare(camera, journal, [collector]).run()
        assert [alert.sequence for alert in collector.alerts] == [0, 2, 4]
        assert [event.number for event in collector.events] == list(range(1, 9))
        assert journal.counts().events == 8
        assert journal.counts().pending == 0


def test_a_stall_is_waited_out_and_said(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    collector = Collector()
    summary = bench.watch(ScriptedCamera(NORMAL, STALL, STALL, FILMED, live=True), [collector])
    assert [alert.sequence for alert in collector.alerts] == [3]
    assert summary.counters.frames_inspected == 2
    said = capsys.readouterr().err
    assert said.count(f"Not inspecting: {STALL}") == 1
    assert said.count("Inspecting again, after ") == 1


def test_a_stall_beyond_the_limit_ends_the_watch(bench: Bench) -> None:
    with pytest.raises(SemedgeError, match=r"gave no frame for .* s, and the limit is 0\.6 s"):
        bench.watch(ScriptedCamera(NORMAL, *[STALL] * 50, live=True), stop_after_stalled_s=0.6)
    assert bench.rows("SELECT frames_inspected, ended_at IS NOT NULL FROM runs") == [(1, 1)]


def test_a_source_that_is_not_live_is_not_waited_for(bench: Bench) -> None:
    with pytest.raises(CameraStalledError):
        bench.watch(ScriptedCamera(NORMAL, STALL))


def test_skipped_and_lost_frames_count_as_seen(bench: Bench) -> None:
    camera = ScriptedCamera(NORMAL, NORMAL)
    camera.skipped = ["a.png: not a picture"]
    camera.lost = 4
    summary = bench.watch(camera)
    assert summary.counters == Counters(7, 2, 1, 4, 0)
    assert summary.sentences()[0].startswith(
        "7 frames seen, 2 inspected, 1 skipped, 4 lost; 0 alerts; "
    )
    assert "latency" in summary.sentences()[0]


def test_a_camera_without_a_frame_gives_a_summary(bench: Bench) -> None:
    summary = bench.watch(ScriptedCamera())
    assert summary.latency_ms == {"left": None}
    assert summary.sentences()[0] == (
        "0 frames seen, 0 inspected, 0 skipped, 0 lost; 0 alerts; 0.0 frames/s."
    )


def test_the_watch_ends_after_so_many_frames(bench: Bench) -> None:
    assert bench.watch(ScriptedCamera(*[NORMAL] * 5), max_frames=3).counters.frames_inspected == 3


def test_one_defect_passing_is_one_alert_and_its_worst_frame_is_shown(bench: Bench) -> None:
    faint = NORMAL.copy()
    faint[60:124, 90:154] = np.maximum(faint[60:124, 90:154], 120)
    collector = Collector()
    bench.watch(
        ScriptedCamera(NORMAL, faint, FILMED, faint, NORMAL, NORMAL, FILMED),
        [collector],
        decision={"end_after_frames": 2, "update_every_s": 0},
    )
    told = [(event.phase, event.sequence, event.frames) for event in collector.events]
    assert told == [
        ("start", 1, 1),
        ("update", 2, 2),
        ("end", 2, 3),
        ("start", 6, 1),
        ("end", 6, 1),
    ]
    first, update, end = collector.events[:3]
    assert len({event.event_id for event in collector.events}) == 2
    assert first.frame_score < update.frame_score == end.frame_score
    assert 0 <= first.duration_s <= update.duration_s <= end.duration_s < 60
    assert first.frame_picture != update.frame_picture == end.frame_picture
    (region,) = end.regions
    assert 64 <= region.left_px <= 96
    assert 154 <= region.left_px + region.width_px <= 160
    assert region.peak_px == end.peak_px
    assert end.message.startswith("Over after 3 frames in ")
    assert collector.events[4].message.startswith("Over after 1 frame in ")
    assert "because the watch ended" in collector.events[4].message


def test_warnings_are_told_but_are_no_alerts(bench: Bench) -> None:
    collector = Collector()
    summary = bench.watch(
        ScriptedCamera(NORMAL, FILMED, NORMAL), [collector], levels=Levels(1e6, 8.0)
    )
    assert [(event.phase, event.level) for event in collector.events] == [
        ("start", "warn"),
        ("end", "warn"),
    ]
    assert collector.events[0].threshold == 8.0
    assert summary.counters == Counters(3, 3, 0, 0, alerts=0, frames_warned=1, frames_alarmed=0)


def test_a_defect_that_a_kill_cut_short_is_ended_by_the_next_watch(bench: Bench) -> None:
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


def test_the_state_shows_what_was_inspected(bench: Bench) -> None:
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


def test_drift_is_told_when_it_begins_and_when_it_is_over(bench: Bench) -> None:
    collector = Collector()
    usual = [*normal_frames()] * 10
    bench.watch(
        ScriptedCamera(*[NORMAL, FILMED] * 30, *usual),
        [collector],
        drift=DriftSettings(window_frames=60),
    )
    told = [(e.code, e.phase) for e in collector.events if e.kind == "drift"]
    assert ("alarm-rate", "start") in told
    assert ("alarm-rate", "end") in told
    (start,) = (e for e in collector.events if (e.code, e.phase) == ("alarm-rate", "start"))
    assert start.level == "warn"
    assert "30 of the last 60 frames alarmed" in start.message
    assert start.details["p_value"] < 1e-4


def test_several_cameras_are_inspected_side_by_side(bench: Bench) -> None:
    collector = Collector()
    cameras = {
        "left": ScriptedCamera(NORMAL, FILMED, NORMAL),
        "right": ScriptedCamera(NORMAL, NORMAL),
    }
    with Journal(bench.journal_file) as journal:
        summary = bench.prepare_lines(cameras, journal, [collector]).run()
    assert summary.cameras["left"].frames_inspected == 3
    assert summary.cameras["right"].frames_inspected == 2
    assert [sentence.split(":")[0] for sentence in summary.sentences()] == ["left", "right"]
    assert {event.camera for event in collector.events} == {"left"}
    assert summary.counters.frames_inspected == 5


@pytest.mark.fault(Fault.NEIGHBOUR)
def test_a_camera_that_dies_is_tried_again_and_costs_the_other_no_frame(bench: Bench) -> None:
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
        watch = bench.prepare_lines({"dead": choice, "good": good}, journal, [collector])
        started_s = time.monotonic()
        summary = watch.run()
    assert summary.cameras["good"].frames_inspected == 100
    assert summary.cameras["good"].frames_lost == 0
    assert summary.cameras["dead"].frames_inspected == 3
    assert time.monotonic() - started_s < 30
    told = [(event.kind, event.code, event.phase, event.camera) for event in collector.events]
    assert told == [
        ("health", "camera-failed", "start", "dead"),
        ("health", "camera-failed", "end", "dead"),
    ]
    assert collector.events[0].message == str(gone)
    assert collector.events[1].duration_s > 0


@pytest.mark.fault(Fault.CLOCK)
def test_a_clock_that_jumps_changes_neither_order_nor_durations(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
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


def test_stop_ends_the_watch_after_the_frame_at_hand(bench: Bench) -> None:
    with Journal(bench.journal_file) as journal:

        def stop() -> NDArray:
            watch.stop()
            return FILMED

        collector = Collector()
        watch = bench.prepare(ScriptedCamera(NORMAL, stop, FILMED), journal, [collector])
        assert watch.run().counters.frames_inspected == 2
    assert [alert.sequence for alert in collector.alerts] == [1]


def test_frames_of_another_size_are_inspected_and_said_once(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = np.concatenate([NORMAL, NORMAL], axis=1)
    collector = Collector()
    bench.watch(ScriptedCamera(NORMAL, wide, with_film(wide), NORMAL, wide), [collector])
    assert [alert.sequence for alert in collector.alerts] == [2]
    said = capsys.readouterr().err
    assert said.count("Warning: frames have 512x192 px") == 1
    assert "promise counts areas of 256x192 px; a frame is 2 of them" in said
    assert "Warning: frames have 256x192 px" not in said


def test_a_frame_smaller_than_a_patch_ends_the_watch(bench: Bench) -> None:
    with pytest.raises(SemedgeError, match="40x20 px is smaller than a patch of 32x32 px"):
        bench.watch(ScriptedCamera(FILMED, NORMAL[:20, :40]))
    assert bench.rows("SELECT alerts, ended_at IS NOT NULL FROM runs") == [(1, 1)]
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(0,)]


@dataclass
class Process:
    """`semedge watch` in a process of its own, with its output in files."""

    popen: subprocess.Popen
    out: Path
    err: Path

    def wait_for(self, text: str, path: Path, timeout_s: float = 60) -> None:
        until_s = time.monotonic() + timeout_s
        while text not in path.read_text():
            assert self.popen.poll() is None, self.err.read_text()
            assert time.monotonic() < until_s, self.err.read_text()
            time.sleep(0.02)


@pytest.fixture
def start_watch(
    tiny_file: Path, calibration_file: Path, tmp_path: Path
) -> Iterator[Callable[..., Process]]:
    processes: list[subprocess.Popen] = []

    def start(camera: str, *more: str) -> Process:
        out, err = tmp_path / "out.txt", tmp_path / "err.txt"
        command = [sys.executable, "-c", "from semedge.cli import main; main()", "watch"]
        options = {
            "--camera": camera,
            "--detector": str(tiny_file),
            "--calibration": str(calibration_file),
            "--journal": str(tmp_path / "journal.sqlite"),
            "--pictures": str(tmp_path / "pictures"),
            "--workers": "1",
        }
        with out.open("w") as out_file, err.open("w") as err_file:
            popen = subprocess.Popen(
                [*command, *(part for pair in options.items() for part in pair), "--json", *more],
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
            )
        processes.append(popen)
        return Process(popen, out, err)

    yield start
    for popen in processes:
        popen.kill()
        popen.wait(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_watch_with_its_summary(
    start_watch: Callable[..., Process], images: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = start_watch(str(images), "--loop")
    process.wait_for("event_id", process.out)
    process.popen.send_signal(number)
    assert process.popen.wait(15) == 0, process.err.read_text()
    assert " frames seen, " in process.err.read_text().splitlines()[-1]
    assert "Traceback" not in process.err.read_text()
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.counts().pending == 0
        assert journal.counts().events == len(process.out.read_text().splitlines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_breaks_off_the_wait_for_a_frame(
    start_watch: Callable[..., Process], number: signal.Signals
) -> None:
    process = start_watch("sim:5?size=256x192&rate=0.01")
    process.wait_for("Watching ", process.err)
    time.sleep(1.0)
    process.popen.send_signal(number)
    assert process.popen.wait(3) == 0, process.err.read_text()
    assert " frames seen, " in process.err.read_text().splitlines()[-1]


def test_sighup_reads_the_station_file_again_and_a_bad_one_changes_nothing(
    start_watch: Callable[..., Process], images: Path, tmp_path: Path
) -> None:
    station = tmp_path / "semedge.toml"
    station.write_text("[sinks.hung]\nkind = 'command'\nargv = ['sleep', '60']\n")
    process = start_watch(str(images), "--loop", "--station", str(station))
    process.wait_for('"defect"', process.out)
    station.write_text(station.read_text() + "[decision]\nalarm = 1e6\n")
    process.popen.send_signal(signal.SIGHUP)
    process.wait_for("The station file was read again.", process.err)
    process.wait_for('"reload-changed"', process.out)
    station.write_text("[decision]\nalarm = 'high'\n")
    process.popen.send_signal(signal.SIGHUP)
    process.wait_for("Not reloaded: ", process.err)
    assert "decision.alarm = 'high' is not allowed" in process.err.read_text()
    time.sleep(0.5)
    later = process.out.read_text().partition('"reload-changed"')[2]
    assert later.count('"phase": "start"') <= 1, "only the frame at hand was judged as before"
    assert process.popen.poll() is None
    started_s = time.monotonic()
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(10) == 0, process.err.read_text()
    took_s = time.monotonic() - started_s
    assert took_s < 3, "a hanging sink does not hold up the end"


def test_a_second_watch_on_the_journal_is_refused_until_the_first_has_died(
    start_watch: Callable[..., Process],
) -> None:
    first = start_watch("sim:5?size=256x192&rate=0.01")
    first.wait_for("Watching ", first.err)
    second = start_watch("sim:6?size=256x192&frames=1")
    assert second.popen.wait(60) == 1
    assert "is in use by another `semedge watch`" in second.err.read_text()
    os.kill(first.popen.pid, signal.SIGKILL)
    first.popen.wait(10)
    third = start_watch("sim:6?size=256x192&frames=1")
    assert third.popen.wait(60) == 0, third.err.read_text()


def test_kill_9_leaves_a_readable_journal_and_whole_pictures(
    start_watch: Callable[..., Process], images: Path, tmp_path: Path
) -> None:
    process = start_watch(str(images), "--loop")
    process.wait_for("event_id", process.out)
    time.sleep(1.0)
    os.kill(process.popen.pid, signal.SIGKILL)
    process.popen.wait(10)
    printed = [json.loads(line) for line in process.out.read_text().splitlines()]
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    stored = [json.loads(event) for (event,) in connection.execute("SELECT document FROM events")]
    waiting = {
        event
        for (event,) in connection.execute(
            "SELECT event_id FROM deliveries JOIN events USING (number) WHERE delivered_at IS NULL"
        )
    }
    connection.close()
    assert {event["event_id"] for event in printed} <= {event["event_id"] for event in stored}
    for event in stored:
        assert event["kind"] == "defect"
        assert cv2.imread(event["frame_picture"]) is not None
        assert cv2.imread(event["overlay_picture"]) is not None
    again = start_watch("sim:6?size=256x192&frames=1")
    assert again.popen.wait(60) == 0, again.err.read_text()
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.counts().pending == 0
    delivered = {json.loads(line)["event_id"] for line in again.out.read_text().splitlines()}
    assert waiting <= delivered
