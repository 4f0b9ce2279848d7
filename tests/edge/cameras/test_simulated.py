"""The simulated camera, and what `open_camera` makes of a source."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from semedge.cameras import open_camera
from semedge.cameras.simulation import SimulatedLine
from semedge.core.errors import SemedgeError


def test_it_gives_the_frames_of_the_line() -> None:
    line = SimulatedLine(7, (64, 96), 0.5)
    with open_camera("sim:7?defects=0.5&size=96x64&frames=5&first=3") as camera:
        frames = list(camera)
        assert list(camera) == []
    assert [frame.sequence for frame in frames] == [3, 4, 5, 6, 7]
    assert len({frame.source for frame in frames}) == 5
    for frame in frames:
        np.testing.assert_array_equal(frame.image, line.frame(frame.sequence).image)


def test_without_settings_it_has_no_end_and_no_defects() -> None:
    with open_camera("sim:2") as camera:
        frame = next(camera)
    assert frame.shape == SimulatedLine(2).shape
    np.testing.assert_array_equal(frame.image, SimulatedLine(2).frame(0).image)


def test_the_rate_holds_frames_back() -> None:
    with open_camera("sim:1?size=32x32&rate=20&frames=9") as camera:
        began_s = time.monotonic()
        assert len(list(camera)) == 9
        assert time.monotonic() - began_s >= 8 / 20 - 0.02


def test_close_breaks_off_the_wait() -> None:
    camera = open_camera("sim:1?size=32x32&rate=0.01")
    next(camera)
    timer = threading.Timer(0.2, camera.close)
    timer.start()
    began_s = time.monotonic()
    assert list(camera) == []
    timer.join()
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    "source",
    [
        "sim:",
        "sim:x",
        "sim:-1",
        "sim:1?defects=2",
        "sim:1?defects=nan",
        "sim:1?rate=-1",
        "sim:1?rate=nan",
        "sim:1?rate=inf",
        "sim:1?rate=1e-12",
        "sim:1?size=0x5",
        "sim:1?size=512",
        "sim:1?size=99999x99999",
        "sim:1?frames=1.5",
        "sim:1?frames",
        "sim:1?speed=3",
    ],
)
def test_wrong_settings_are_refused(source: str) -> None:
    with pytest.raises(SemedgeError) as caught:
        open_camera(source)
    assert "sim:SEED?defects=0.1&rate=5" in str(caught.value)
    assert str(caught.value).endswith(f"Received: {source}")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("ftp://host/x", "ftp://host/x"),
        ("ftp://user:secret@host/x", "ftp://host/x"),
        ("pymmcore:Demo", "pymmcore:Demo"),
    ],
)
def test_an_unknown_scheme_lists_the_known_ones(source: str, shown: str) -> None:
    with pytest.raises(SemedgeError) as caught:
        open_camera(source)
    for scheme in (
        "/dev/video0",
        "rtsp://",
        "http://",
        "video file",
        "folder",
        "sim:SEED",
        "genicam:",
    ):
        assert scheme in str(caught.value)
    assert str(caught.value).endswith(f"Received: {shown}")


@pytest.mark.parametrize("source", ["absent", "", "absent.mp4", "²"])
def test_an_absent_source_is_named(source: str) -> None:
    with pytest.raises(SemedgeError, match=source or "empty"):
        open_camera(source)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_timeout_must_be_above_0(timeout_s: float) -> None:
    with pytest.raises(SemedgeError, match=f"timeout_s .* Received: {timeout_s:g}"):
        open_camera("sim:1", timeout_s=timeout_s)
