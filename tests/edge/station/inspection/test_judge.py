"""Frames of another size than the calibrated one are judged or refused."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import with_film
from scripted import Collector, ScriptedCamera
from watch_bench import FILMED, NORMAL, WatchBench

from semedge.core.errors import SemedgeError


def test_frames_of_another_size_are_inspected_and_logged_once(
    bench: WatchBench, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = np.concatenate([NORMAL, NORMAL], axis=1)
    collector = Collector()
    bench.watch(ScriptedCamera(NORMAL, wide, with_film(wide), NORMAL, wide), [collector])
    assert [alert.sequence for alert in collector.alerts] == [2]
    logged = capsys.readouterr().err
    assert logged.count("has 512x192 px, and the calibration") == 1
    assert "256x192 px; a frame is 2 of them" in logged
    assert "has 256x192 px, and the calibration" not in logged


def test_a_frame_smaller_than_a_patch_ends_the_watch(bench: WatchBench) -> None:
    with pytest.raises(SemedgeError, match=r"40x20 px.* 32x32 px"):
        bench.watch(ScriptedCamera(FILMED, NORMAL[:20, :40]))
    assert bench.rows("SELECT alerts, ended_at IS NOT NULL FROM runs") == [(1, 1)]
    assert bench.rows("SELECT count(*) FROM deliveries WHERE delivered_at IS NULL") == [(0,)]
