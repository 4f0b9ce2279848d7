"""Crops of events' pictures: what they show, and that they are never black."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sinks_support import EVENT

from semedge.core.event import Event, Region
from semedge.inference.overlay import encode_png
from semedge.web.event_crops import CROP_PX, EventCrops

SHAPE = (600, 1000)


def event_at(x: int, y: int, width: int = 4, height: int = 4) -> Event:
    region = Region(x, y, width, height, width * height, (x, y), 12.0)
    return replace(EVENT, event_id="a" * 32, number=1, peak_px=(x, y), regions=(region,))


def overlay_of(tmp_path: Path, frame: np.ndarray) -> Path:
    path = tmp_path / "overlay.png"
    gray = np.repeat(frame[..., None], 3, axis=2)
    path.write_bytes(encode_png(np.concatenate([gray, np.zeros_like(gray)], axis=1)))
    return path


def cut(event: Event, path: Path) -> np.ndarray:
    content = EventCrops().jpeg(event, path)
    assert content is not None
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize(("x", "y"), [(500, 300), (0, 0), (996, 0), (0, 596), (996, 596)])
def test_a_defect_of_4_px_is_seen_wherever_it_is(tmp_path: Path, x: int, y: int) -> None:
    frame = np.full(SHAPE, 90, np.uint8)
    frame[y : y + 4, x : x + 4] = 250
    crop = cut(event_at(x, y), overlay_of(tmp_path, frame))
    assert crop.shape == (CROP_PX * 3 // 4, CROP_PX)
    assert (crop > 200).sum() > 50, "more than the 16 px of the frame"


def test_a_large_defect_is_shown_whole(tmp_path: Path) -> None:
    frame = np.full(SHAPE, 90, np.uint8)
    frame[100:500, 200:700] = 250
    crop = cut(event_at(200, 100, 500, 400), overlay_of(tmp_path, frame))
    assert (crop[0] < 120).all(), "with what is around it"
    assert 0.1 < (crop > 200).mean() < 0.5


def test_a_dark_place_is_not_black(tmp_path: Path) -> None:
    frame = np.random.default_rng(1).integers(4, 20, SHAPE, np.uint8)
    crop = cut(event_at(500, 300), overlay_of(tmp_path, frame))
    assert np.quantile(crop, 0.9) > 80


def test_a_frame_smaller_than_a_crop(tmp_path: Path) -> None:
    crop = cut(event_at(5, 5), overlay_of(tmp_path, np.full((20, 40), 90, np.uint8)))
    assert crop.shape[1] == CROP_PX


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_picture_that_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "overlay.png"
    path.write_bytes(content)
    assert EventCrops().jpeg(event_at(5, 5), path) is None
    assert EventCrops().jpeg(event_at(5, 5), tmp_path / "gone.png") is None
