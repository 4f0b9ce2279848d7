"""Basler cameras, on pylon's own emulator, which replays frames of ours."""

from __future__ import annotations

import os
import time
from typing import Any

import cv2
import numpy as np
import pytest

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.cameras.pylon import PylonCapture, list_devices
from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage

# The emulator reads it when pypylon is imported, which the cameras do when one is opened.
os.environ["PYLON_CAMEMU"] = "2"
pytest.importorskip("pypylon", reason="pip install 'semedge[pylon]'")

TIMEOUT_S = 8.0
SHAPE = (120, 160)
REGION_PX = (0, 0, SHAPE[1], SHAPE[0])


@pytest.fixture(scope="module")
def frames() -> list[GrayImage]:
    generator = np.random.default_rng(3)
    return [generator.integers(0, 65536, SHAPE, dtype=np.uint16) for _ in range(3)]


@pytest.fixture(scope="module")
def replay(
    tmp_path_factory: pytest.TempPathFactory, frames: list[GrayImage]
) -> tuple[tuple[str, str], ...]:
    """Features that let the emulator replay `frames`."""
    folder = tmp_path_factory.mktemp("frames")
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return (("ImageFilename", str(folder)), ("ImageFileMode", "On"), ("TestImageSelector", "Off"))


def opened(**settings: Any) -> Camera:
    return open_camera("pylon:0815-0000", timeout_s=TIMEOUT_S, settings=CameraSettings(**settings))


def as_sent(image: GrayImage, pixel_format: str) -> GrayImage:
    """What is left of 16 bits in a format: the upper 8, or the upper 10 or 12 in their place."""
    if pixel_format == "Mono8":
        return (image >> 8).astype(np.uint8)
    bits = int(pixel_format.removeprefix("Mono"))
    return image >> (16 - bits) << (16 - bits)


@pytest.mark.parametrize("pixel_format", ["Mono16", "Mono12", "Mono8"])
def test_every_bit_of_a_replayed_frame_arrives(
    pixel_format: str, frames: list[GrayImage], replay: tuple[tuple[str, str], ...]
) -> None:
    expected = [as_sent(image, pixel_format) for image in frames]
    with opened(
        features=replay, pixel_format=pixel_format, region_px=REGION_PX, frame_rate_hz=30.0
    ) as camera:
        for _ in range(6):
            frame = next(camera)
            assert frame.device_frame is not None
            np.testing.assert_array_equal(frame.image, expected[frame.device_frame % 3])
            assert frame.image.dtype == expected[0].dtype


def test_the_information_bar_is_cut_off(
    frames: list[GrayImage], replay: tuple[tuple[str, str], ...]
) -> None:
    with opened(
        features=replay, pixel_format="Mono16", region_px=REGION_PX, crop_bottom_px=20
    ) as camera:
        frame = next(camera)
    assert frame.device_frame is not None
    np.testing.assert_array_equal(frame.image, frames[frame.device_frame % 3][:100])


def test_damaged_frames_are_counted_and_never_given(
    replay: tuple[tuple[str, str], ...],
) -> None:
    settings = CameraSettings(features=replay, region_px=REGION_PX, frame_rate_hz=50.0)
    capture = PylonCapture("0815-0000", settings, "pylon:0815-0000")
    try:
        capture.device.ForceFailedBufferCount.Value = 3
        good = capture.fetch(2.0)
        capture.device.ForceFailedBuffer.Execute()
        shots = [capture.fetch(2.0) for _ in range(12)]
    finally:
        capture.close()
    assert good is not None
    assert good.image is not None
    assert all(shot is not None for shot in shots)
    damaged = [shot for shot in shots if shot is not None and shot.image is None]
    assert len(damaged) == 3
    assert all(shot.device_frame for shot in damaged)


def test_software_starts_a_frame_when_the_reader_asks() -> None:
    with opened(trigger="software", region_px=REGION_PX) as camera:
        next(camera)
        time.sleep(0.5)
        asked_s = time.time()
        frames = [next(camera) for _ in range(3)]
        assert camera.lost == 0
    assert frames[0].captured_at_s >= asked_s
    assert [frame.sequence for frame in frames] == [1, 2, 3]


def test_a_trigger_that_does_not_come_leaves_the_camera_free() -> None:
    """The trigger is the emulator's `Line1`, which never changes."""
    with pytest.raises(SemedgeError, match=r"pylon:0815-0000 .* 1 s\b"):
        open_camera("pylon:0815-0000", timeout_s=1.0, settings=CameraSettings(trigger="Line1"))
    with opened(trigger="off", region_px=REGION_PX) as camera:
        next(camera)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"exposure_us": 1e12}, "exposure_us = 1000000000000 .* 1 to 10000000"),
        ({"gain": 1e6}, "gain = 1000000 .* 0 to 48"),
        ({"region_px": (0, 0, 9999, 10)}, "width = 9999 .* 1 to 4096"),
        ({"region_px": (4000, 0, 160, 120)}, "left = 4000 .* 0 to 3936"),
        ({"pixel_format": "Mono10p"}, "pixel_format = Mono10p .* Mono8, Mono10, "),
        ({"trigger": "Line9"}, "trigger = Line9 .* Software, Line1"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], values: str) -> None:
    with pytest.raises(SemedgeError, match=values):
        opened(**settings)


def test_an_absent_camera_is_refused() -> None:
    with pytest.raises(SemedgeError, match=r"\(pylon sees 0815-0000, 0815-0001\)"):
        open_camera("pylon:77", timeout_s=1.5)


def test_cameras_are_listed() -> None:
    assert [device.source for device in list_devices()] == ["pylon:0815-0000", "pylon:0815-0001"]
    assert {device.vendor for device in list_devices()} == {"Basler"}
