"""Drift is reported from the window that shows it to the one that no longer does."""

from __future__ import annotations

from bundles import normal_frames
from scripted import Collector, ScriptedCamera
from watch_bench import FILMED, NORMAL, WatchBench

from semedge.decision.drift import DriftSettings


def test_drift_is_reported_when_it_begins_and_when_it_is_over(bench: WatchBench) -> None:
    collector = Collector()
    usual = [*normal_frames()] * 10
    bench.watch(
        ScriptedCamera(*[NORMAL, FILMED] * 30, *usual),
        [collector],
        drift=DriftSettings(window_frames=60, significance=1e-4),
    )
    reported = [(e.code, e.phase) for e in collector.events if e.kind == "drift"]
    assert ("alarm-rate", "start") in reported
    assert ("alarm-rate", "end") in reported
    (start,) = (e for e in collector.events if (e.code, e.phase) == ("alarm-rate", "start"))
    assert start.level == "warn"
    assert "30 of the last 60 frames alarmed" in start.message
    assert start.details["p_value"] < 1e-4
