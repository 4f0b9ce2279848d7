"""A defect is reported from its first frame to its last, with pictures."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import FRAME_SHAPE, with_film
from faults import Fault
from scripted import CAPTURED_AT_S, Collector, ScriptedCamera, wait_until
from watch_bench import FILMED, NORMAL, WatchBench

from semedge.decision.defect import Levels
from semedge.journal.journal import Journal
from semedge.journal.records import Counters


def test_a_frame_that_is_not_normal_becomes_an_alert_with_pictures(bench: WatchBench) -> None:
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
    stored = cv2.imread(alert.frame_picture, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, FILMED)
    overlay = cv2.imread(alert.overlay_picture, cv2.IMREAD_UNCHANGED)
    assert overlay.shape == (FRAME_SHAPE[0], 2 * FRAME_SHAPE[1], 3)
    assert summary.counters == Counters(3, 3, 0, 0, 1, 0, 1)
    assert bench.rows("SELECT frames_seen, alerts, ended_at IS NOT NULL FROM runs") == [(3, 1, 1)]
    assert bench.rows("SELECT document FROM events") == [
        (json.dumps(event.to_document()),) for event in collector.events
    ]
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(0,)]


def test_16_bit_frames_are_stored_with_16_bits(bench: WatchBench) -> None:
    collector = Collector()
    deep = with_film(NORMAL.astype(np.uint16) * 257)
    bench.watch(ScriptedCamera(deep), [collector])
    assert collector.alerts[0].frame_picture is not None
    stored = cv2.imread(collector.alerts[0].frame_picture, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, deep)


def test_one_defect_passing_is_one_alert_and_its_worst_frame_is_shown(bench: WatchBench) -> None:
    faint = NORMAL.copy()
    faint[60:124, 90:154] = np.maximum(faint[60:124, 90:154], 120)
    collector = Collector()
    bench.watch(
        ScriptedCamera(NORMAL, faint, FILMED, faint, NORMAL, NORMAL, FILMED),
        [collector],
        decision={"end_after_frames": 2, "update_every_s": 0},
    )
    reported = [(event.phase, event.sequence, event.frames) for event in collector.events]
    assert reported == [
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


def test_warnings_are_reported_but_are_no_alerts(bench: WatchBench) -> None:
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


@pytest.mark.fault(Fault.DISK)
def test_a_slow_disk_does_not_slow_the_inspection(
    bench: WatchBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def slow(descriptor: int) -> None:
        time.sleep(0.5)
        synced.append(descriptor)

    monkeypatch.setattr("semedge.core.files.os.fsync", slow)
    with Journal(bench.journal_file) as journal:
        watch = bench.prepare(ScriptedCamera(*[FILMED, NORMAL] * 5), journal)
        began_s = time.monotonic()
        summary = watch.run()
        took_s = time.monotonic() - began_s
    assert summary.counters.alerts == 5
    assert took_s < 2, "ten pictures, which take five seconds to be on the disk"
    assert len(list((bench.folder / "pictures").glob("*/*.png"))) == 10
    wait_until(lambda: len(synced) >= 3)
