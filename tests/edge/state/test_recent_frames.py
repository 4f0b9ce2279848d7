"""The ring of the last frames: bounded, lossless, and out of the way of the inspection."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scripted import wait_until
from station_support import GRID, LEVELS, active_setup_of

from semedge.core.frame import Frame, GrayImage
from semedge.core.images import to_gray
from semedge.core.view import FrameView, ViewSettings
from semedge.inference.score_map import ScoreMap
from semedge.state import recent_frames
from semedge.state.recent_frames import RecentFrames
from semedge.state.snapshot import Inspected

START_S = 1_764_000_000.25
SETUP = active_setup_of(LEVELS)


def ramp(number: int) -> GrayImage:
    """A frame that PNG makes small, and that differs from the others."""
    image = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
    image[0, 0] = number % 256
    return image


def inspected(
    number: int, image: GrayImage | None = None, view: ViewSettings | None = None
) -> Inspected:
    frame = Frame(ramp(number) if image is None else image, number, START_S + number, "script")
    shown = frame if view is None else FrameView(view).show(frame)
    scores = np.full(len(GRID), number, np.float32)
    return Inspected(shown, ScoreMap(GRID, scores, {}), None, {}, view=view or ViewSettings())


def sequences(ring: RecentFrames, camera: str | None = None) -> list[int]:
    return [each.sequence for each in ring.newest_first(camera)]


def test_the_ring_wraps_around_and_the_newest_stay() -> None:
    ring = RecentFrames(most_frames=200)
    for number in range(450):
        ring.add("left" if number % 2 else "right", inspected(number), SETUP)
    assert sequences(ring) == list(range(449, 249, -1))
    assert sequences(ring, "left") == list(range(449, 249, -2))
    newest = ring.newest_first()[0]
    assert newest.frame_id == "left-20251124T160729.250000-449"
    assert (newest.score, newest.setup) == (449.0, SETUP)
    assert ring.find("left-20251124T160729.250000-449") is newest
    assert ring.find("left-20251124T160019.250000-19") is None
    ring.close()


def test_its_bytes_are_bounded_too_and_counted_right() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (100, 100), np.uint8)
    ring = RecentFrames(most_frames=200, most_bytes=105_000)
    for number in range(30):
        image = noise.copy()
        image[0, 0] = number % 256
        ring.add("left", inspected(number, image), SETUP)
        # Noise is not smaller as PNG, so each frame takes its 10,000 bytes.
        assert ring.bytes_held <= 105_000
    assert sequences(ring) == list(range(29, 19, -1))
    for number in range(30, 60):
        ring.add("left", inspected(number), SETUP)
    wait_until(lambda: ring.bytes_held < 30 * 64 * 48)
    assert ring.bytes_held == sum(each.bytes_held for each in ring.newest_first())
    ring.close()
    assert ring.bytes_held == 0


def test_a_frame_larger_than_the_ring_leaves_it_empty() -> None:
    ring = RecentFrames(most_bytes=1_000)
    ring.add("left", inspected(1), SETUP)
    assert sequences(ring) == []
    assert ring.bytes_held == 0
    none = RecentFrames(most_frames=0)
    none.add("left", inspected(1), SETUP)
    assert none.newest_first() == []


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_frame_stays_whole_and_of_its_full_depth(dtype: type) -> None:
    image = (np.arange(48 * 64).reshape(48, 64) * 21).astype(dtype)
    view = ViewSettings(crop_top_px=8, crop_left_px=4)
    ring = RecentFrames()
    ring.add("left", inspected(1, image, view), SETUP)
    (frame,) = ring.newest_first()
    assert frame.shape == (40, 60)
    for _ in range(2):
        whole = cv2.imdecode(np.frombuffer(frame.png(), np.uint8), cv2.IMREAD_UNCHANGED)
        assert whole.dtype == dtype
        np.testing.assert_array_equal(whole, image)
        np.testing.assert_array_equal(frame.inspected_picture(), image[8:, 4:])
        # The same once more from its PNG.
        wait_until(lambda: frame.bytes_held < image.nbytes)
    ring.close()


def test_colours_are_kept_before_and_after_the_crop() -> None:
    colours = np.dstack([ramp(0), ramp(0) // 2, ramp(0) // 4])
    view = ViewSettings(crop_top_px=8)
    frame = FrameView(view).show(Frame(to_gray(colours), 1, colours=colours))
    ring = RecentFrames()
    ring.add("left", replace(inspected(1, frame.image, view), frame=frame), SETUP)
    (kept,) = ring.newest_first()
    for _ in range(2):
        whole = cv2.imdecode(np.frombuffer(kept.png(), np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(whole, colours)
        np.testing.assert_array_equal(kept.inspected_picture(), colours[8:])
        # The same once more from its PNG.
        wait_until(lambda: kept.bytes_held < colours.nbytes)
    ring.close()


def test_frames_that_are_looked_at_stay_and_only_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = RecentFrames(most_frames=3)
    for number in range(3):
        ring.add("left", inspected(number), SETUP)
    held = ring.hold()
    for number in range(3, 9):
        ring.add("left", inspected(number), SETUP)
    assert sequences(ring) == [8, 7, 6]
    assert ring.find(held[-1].frame_id) is held[-1]
    ring.hold("left")
    assert ring.find(held[-1].frame_id) is None, "a new list replaces the one before"
    monkeypatch.setattr(recent_frames, "HOLD_S", -1.0)
    ring.hold()
    held_last = ring.newest_first()[-1]
    ring.add("left", inspected(9), SETUP)
    assert ring.find(held_last.frame_id) is None
    ring.close()


def test_adding_does_not_wait_for_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    released, encoding = threading.Event(), threading.Event()

    def hang(image: GrayImage) -> bytes:
        encoding.set()
        released.wait(30)
        return b""

    monkeypatch.setattr(recent_frames, "_encoded", hang)
    ring = RecentFrames(most_frames=50)
    ring.add("left", inspected(0), SETUP)
    assert encoding.wait(10)
    begun_s = time.monotonic()
    for number in range(1, 301):
        ring.add("left", inspected(number), SETUP)
    assert time.monotonic() - begun_s < 5
    assert sequences(ring) == list(range(300, 250, -1))
    ring.close()
    released.set()


def test_the_event_of_a_frame_is_known() -> None:
    ring = RecentFrames()
    ring.add("left", replace(inspected(1), event_id="ab" * 16, level="alarm"), None)
    (frame,) = ring.newest_first()
    assert (frame.event_id, frame.level, frame.setup) == ("ab" * 16, "alarm", None)
    ring.close()
