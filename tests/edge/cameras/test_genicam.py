"""GenICam cameras, on the simulated cameras of the producer that comes with `genicam`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semedge.cameras import Camera, CameraSettings, open_camera
from semedge.cameras.genicam import list_devices
from semedge.core.errors import SemedgeError

pytestmark = pytest.mark.alone

genicam = pytest.importorskip("genicam", reason="pip install 'semedge[genicam]'")
pytest.importorskip("harvesters", reason="pip install 'semedge[genicam]'")

PRODUCER = Path(genicam.__file__).with_name("viky.cti")
TIMEOUT_S = 5.0


def source(serial: str) -> str:
    return f"genicam:{PRODUCER}#{serial}"


def opened(serial: str = "1", **settings: Any) -> Camera:
    return open_camera(source(serial), timeout_s=TIMEOUT_S, settings=CameraSettings(**settings))


@pytest.fixture(autouse=True)
def producer_is_given_back() -> Iterator[None]:
    """A test that left a camera open would leave the next one without."""
    yield
    from semedge.cameras.genicam import _Producer

    assert not _Producer._loaded


def test_frames_carry_the_cameras_own_number() -> None:
    with opened(pixel_format="Mono8", region_px=(0, 0, 640, 300)) as camera:
        frames = [next(camera) for _ in range(5)]
    numbers = [frame.device_frame for frame in frames]
    assert all(number is not None for number in numbers)
    assert numbers == sorted(set(numbers))
    assert {frame.shape for frame in frames} == {(300, 640)}
    assert {frame.source for frame in frames} == {source("1")}
    assert camera.live


def test_colour_becomes_gray() -> None:
    with opened(pixel_format="RGBa8") as camera:
        frame = next(camera)
    assert frame.shape == (400, 400)
    assert frame.image.dtype == "uint8"
    assert frame.image.max() > frame.image.min()
    assert frame.colours is None, "the simulated picture is gray"


@pytest.mark.parametrize("pixel_format", ["Mono8", "RGBa8"])
def test_chunk_data_behind_the_pixels_changes_none_of_them(pixel_format: str) -> None:
    frames = []
    for mode in ("0", "1"):
        features = (("ChunkModeActive", mode), ("BouncingBallSize", "40"))
        with opened(pixel_format=pixel_format, features=features) as camera:
            frames.append(next(camera))
    without, with_chunks = frames
    assert without.shape == with_chunks.shape == (400, 400)
    # The ball may be elsewhere.
    assert (
        np.sort(without.image, axis=None).tolist() == np.sort(with_chunks.image, axis=None).tolist()
    )


def test_frames_that_a_slow_reader_missed_are_counted_by_their_numbers() -> None:
    with opened(frame_rate_hz=100.0) as camera:
        first = next(camera)
        time.sleep(1.0)
        next(camera)
        late = next(camera)
        assert first.device_frame is not None
        assert late.device_frame is not None
        passed = late.device_frame - first.device_frame
        assert passed > 50
        assert late.sequence - first.sequence == passed


def test_two_cameras_of_one_producer_do_not_disturb_each_other() -> None:
    with opened("0", frame_rate_hz=50.0) as staying:
        before = next(staying)
        for _ in range(3):
            with opened("2") as other:
                assert next(other).source == source("2")
        after = [next(staying) for _ in range(20)][-1]
        assert before.device_frame is not None
        assert after.device_frame is not None
        assert after.device_frame > before.device_frame
        assert after.device_frame - before.device_frame == after.sequence - before.sequence


def test_a_camera_in_use_is_refused_in_time() -> None:
    with opened("0"):
        began_s = time.monotonic()
        with pytest.raises(SemedgeError, match=r"viky.* 1 s\b.*already in use"):
            open_camera(source("0"), timeout_s=1.0)
        assert time.monotonic() - began_s < 3.0


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"frame_rate_hz": 500.0}, "frame_rate_hz = 500 .* 1 to 200"),
        ({"region_px": (0, 0, 5000, 300)}, "width = 5000 .* 100 to 800"),
        ({"region_px": (8, 0, 400, 300)}, "left = 8 .* OffsetX"),
        ({"pixel_format": "Mono16"}, "pixel_format = Mono16 .* RGBa8, Mono8"),
        ({"exposure_us": 5.0}, "exposure_us = 5 .* ExposureTime or"),
        ({"trigger": "software"}, "trigger = Software .* TriggerSource"),
        ({"features": (("Nope", "1"),)}, "features.Nope = 1 "),
        ({"features": (("BouncingBallSize", "99"),)}, "features.BouncingBallSize = 99 "),
    ],
)
def test_a_wrong_setting_is_refused_at_once(
    settings: dict[str, Any], values: str, capfd: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    with pytest.raises(SemedgeError, match=values) as caught:
        opened(**settings)
    assert time.monotonic() - began_s < TIMEOUT_S / 2
    assert str(caught.value).endswith(".")
    assert capfd.readouterr() == ("", "")


def test_further_features_are_set_by_name() -> None:
    with opened(features=(("BouncingBallSize", "40"), ("Width", "200"))) as camera:
        assert next(camera).shape == (400, 200)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        (f"genicam:{PRODUCER}#7", r"viky.cti#7 .* 1 s\b.*\(viky.cti sees 0, 1, 2\)"),
        (f"genicam:{PRODUCER}", r"viky.cti .* 1 s\b"),
        ("genicam:", "GenTL producer without a name.*GENICAM_GENTL64_PATH"),
        ("genicam:absent.cti#1", "GenTL producer absent.cti.*GENICAM_GENTL64_PATH"),
        (f"genicam:{__file__}#1", r"test_genicam.py .*GenTL producer.* \.cti "),
    ],
)
def test_an_absent_camera_is_refused(
    source: str, values: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SemedgeError, match=values):
        open_camera(source, timeout_s=1.0)
    assert capfd.readouterr() == ("", "")


def test_a_producer_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENICAM_GENTL64_PATH", f"/nowhere:{PRODUCER.parent}")
    with open_camera("genicam:viky.cti#2", timeout_s=TIMEOUT_S) as camera:
        next(camera)
    assert [device.source for device in list_devices()] == [source(serial) for serial in "012"]
    assert {device.model for device in list_devices()} == {"Viky"}
