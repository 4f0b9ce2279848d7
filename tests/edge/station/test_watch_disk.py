"""A disk that takes nothing costs pictures and scores, and never an event."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import with_film
from faults import Fault
from numpy.typing import NDArray
from scripted import Collector, ScriptedCamera, wait_until
from watch_bench import FILMED, NORMAL, WatchBench

from semedge.journal.journal import Journal
from semedge.station.retention import RetentionSettings


def test_pictures_that_cannot_be_written_are_logged_and_the_alert_is_stored(
    bench: WatchBench, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.folder / "occupied").write_text("a file where the folder should be")
    collector = Collector()
    bench.watch(ScriptedCamera(FILMED), [collector], pictures=bench.folder / "occupied")
    assert collector.alerts[0].frame_picture is None
    assert collector.alerts[0].overlay_picture is None
    assert str(bench.folder / "occupied") in capsys.readouterr().err
    assert bench.rows("SELECT count(*) FROM events") == [(2,)]


@pytest.mark.fault(Fault.DISK)
def test_a_disk_full_of_pictures_does_not_stop_the_alerts(
    bench: WatchBench, small_disk: Path, capsys: pytest.CaptureFixture[str]
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
    bench: WatchBench, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semedge.station.watch.COUNT_EVERY_S", 0.2)
    filler = small_disk / "filler"
    collector = Collector()

    def reported(code: str, phase: str) -> bool:
        return any((event.code, event.phase) == (code, phase) for event in collector.events)

    def fill_the_disk() -> NDArray:
        (small_disk / "journal.sqlite-reserve").unlink()
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"0" * 4096)
        return FILMED

    def once_it_is_reported() -> NDArray:
        wait_until(lambda: reported("journal-unwritable", "start"))
        return FILMED

    def make_room() -> NDArray:
        filler.unlink()
        wait_until(lambda: reported("journal-unwritable", "end"))
        return FILMED

    camera = ScriptedCamera(fill_the_disk, NORMAL, once_it_is_reported, NORMAL, make_room)
    path = small_disk / "journal.sqlite"
    with Journal(path) as journal:
        bench.prepare(camera, journal, [collector]).run()
        assert [alert.sequence for alert in collector.alerts] == [0, 2, 4]
        assert [event.number for event in collector.events] == list(range(1, 9))
        assert journal.counts().events == 8
        assert journal.counts().pending == 0


def test_without_room_events_are_stored_without_pictures_and_scores(bench: WatchBench) -> None:
    collector = Collector()
    bench.watch(
        ScriptedCamera(NORMAL, FILMED, NORMAL),
        [collector],
        retention=RetentionSettings(least_free_bytes=10**18),
    )
    assert [(event.kind, event.code, event.phase) for event in collector.events] == [
        ("health", "disk-full", "start"),
        ("defect", "score", "start"),
        ("defect", "score", "end"),
    ]
    assert collector.alerts[0].frame_picture is None
    assert not (bench.folder / "pictures").exists()
    assert bench.rows("SELECT count(*) FROM scores") == [(0,)]
