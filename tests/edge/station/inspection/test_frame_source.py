"""A camera that stalls is waited for, and what it lost is counted."""

from __future__ import annotations

import pytest
from scripted import Collector, ScriptedCamera
from watch_bench import FILMED, NORMAL, STALL, WatchBench

from semedge.cameras import CameraStalledError
from semedge.core.errors import SemedgeError
from semedge.journal.records import Counters


def test_a_stall_is_waited_out_and_logged(
    bench: WatchBench, capsys: pytest.CaptureFixture[str]
) -> None:
    collector = Collector()
    summary = bench.watch(ScriptedCamera(NORMAL, STALL, STALL, FILMED, live=True), [collector])
    assert [alert.sequence for alert in collector.alerts] == [3]
    assert summary.counters.frames_inspected == 2
    logged = capsys.readouterr().err
    assert logged.count(f"Not inspecting: {STALL}") == 1
    assert logged.count("Inspecting again, after ") == 1


def test_a_stall_beyond_the_limit_ends_the_watch(bench: WatchBench) -> None:
    with pytest.raises(SemedgeError, match=r"\d s.* 0\.6 s\b"):
        bench.watch(ScriptedCamera(NORMAL, *[STALL] * 50, live=True), stop_after_stalled_s=0.6)
    assert bench.rows("SELECT frames_inspected, ended_at IS NOT NULL FROM runs") == [(1, 1)]


def test_a_source_that_is_not_live_is_not_waited_for(bench: WatchBench) -> None:
    with pytest.raises(CameraStalledError):
        bench.watch(ScriptedCamera(NORMAL, STALL))


def test_skipped_and_lost_frames_count_as_seen(bench: WatchBench) -> None:
    camera = ScriptedCamera(NORMAL, NORMAL)
    camera.skipped = ["a.png: not a picture"]
    camera.lost = 4
    summary = bench.watch(camera)
    assert summary.counters == Counters(7, 2, 1, 4, 0)
    assert summary.sentences()[0].startswith(
        "7 frames seen, 2 inspected, 1 skipped, 4 lost; 0 alerts; "
    )
    assert "latency" in summary.sentences()[0]
