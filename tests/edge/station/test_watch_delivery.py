"""Events are stored before they are delivered, and sinks that fail hold up nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from numpy.typing import NDArray
from scripted import Collector, ScriptedCamera
from watch_bench import FILMED, NORMAL, WatchBench

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.journal.journal import Journal


def test_pictures_and_journal_are_there_before_the_delivery(bench: WatchBench) -> None:
    def check(alert: Event) -> None:
        assert alert.frame_picture is not None
        assert alert.overlay_picture is not None
        assert Path(alert.frame_picture).stat().st_size > 0
        assert Path(alert.overlay_picture).stat().st_size > 0
        assert bench.rows(f"SELECT 1 FROM events WHERE number = {alert.number}") == [(1,)]

    collector = Collector(on_deliver=check)
    bench.watch(ScriptedCamera(FILMED, NORMAL, FILMED), [collector])
    assert [alert.sequence for alert in collector.alerts] == [0, 2]


def test_alerts_of_an_earlier_run_go_out_first(bench: WatchBench) -> None:
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
    bench: WatchBench, capsys: pytest.CaptureFixture[str]
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
    logged = capsys.readouterr().err
    assert logged.count("broker away") == 1
    assert logged.count("flaky") == 2, "once when it refuses, once when it takes events again"


def test_a_sink_that_raises_is_logged_and_the_inspection_continues(
    bench: WatchBench, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(alert: Event) -> None:
        raise ZeroDivisionError("a fault in the sink's code")

    faulty = Collector(on_deliver=fail)
    assert bench.watch(ScriptedCamera(FILMED, NORMAL), [faulty]).counters.frames_inspected == 2
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(2,)]
    assert "ZeroDivisionError: a fault in the sink's code" in capsys.readouterr().err
    assert faulty.closed


def test_a_slow_sink_does_not_hold_up_the_end(bench: WatchBench) -> None:
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


def test_without_alerts_the_delivery_rests(bench: WatchBench) -> None:
    def pause() -> NDArray:
        time.sleep(1.0)
        return NORMAL

    with Journal(bench.journal_file) as journal:
        watch = bench.prepare(ScriptedCamera(pause), journal)
        spent_s = time.process_time()
        watch.run()
        assert time.process_time() - spent_s < 0.5
