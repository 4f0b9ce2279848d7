"""GigE Vision on the wire: Aravis's fake camera in a process of its own, on loopback."""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semedge.cameras import Camera, CameraSettings, CameraStalledError, open_camera
from semedge.cameras.aravis import AravisCapture, list_devices, load_library
from semedge.cameras.live import CameraSettingsError
from semedge.core.errors import SemedgeError

pytestmark = pytest.mark.alone

SERVER = "arv-fake-gv-camera-0.8"
SOURCE = "aravis:Aravis-Fake-S1"
TIMEOUT_S = 8.0
STALL_TIMEOUT_S = 3.0
START_TIMEOUT_S = 20.0
SOCKET = "0100007F:0F74"
"""Address and port of GigE Vision on loopback, as the kernel lists them."""
MONO8 = 0x01080001
IMAGE, CHUNKS, EXTENDED_CHUNKS = 1, 4, 0x4001
"""Payload types of GigE Vision: pixels, chunks of which the first are pixels, and both in one."""
PACKET_HEADS_BYTES = 36
"""Of a packet's IP, UDP and GigE Vision."""
SHAPE = (240, 320)
REGION_PX = (8, 16, SHAPE[1], SHAPE[0])


class FakeCamera:
    """A camera that can stop, die and come back."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [SERVER, "-i", "127.0.0.1", "-s", "S1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while SOCKET not in Path("/proc/net/udp").read_text():
            assert time.monotonic() < deadline_s, "the fake camera does not start"
            time.sleep(0.05)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(scope="module")
def aravis() -> None:
    if shutil.which(SERVER) is None:
        pytest.skip("no fake camera: apt-get install aravis-tools")
    try:
        list_devices()
    except CameraSettingsError as error:
        pytest.skip(str(error))


@pytest.fixture
def fake(aravis: None) -> Iterator[FakeCamera]:
    camera = FakeCamera()
    try:
        yield camera
    finally:
        camera.kill()


def opened(timeout_s: float = TIMEOUT_S, **settings: Any) -> Camera:
    return open_camera(SOURCE, timeout_s=timeout_s, settings=CameraSettings(**settings))


def wait_until_stalled(camera: Camera, within_s: float) -> tuple[CameraStalledError, float]:
    """The stall, and seconds from the last frame to it."""
    deadline_s = time.monotonic() + within_s
    last_s = time.monotonic()
    while time.monotonic() < deadline_s:
        try:
            next(camera)
        except CameraStalledError as error:
            return error, time.monotonic() - last_s
        last_s = time.monotonic()
    pytest.fail("the camera goes on")


def wait_for_frame(camera: Camera, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            next(camera)
        except CameraStalledError:
            if time.monotonic() > deadline_s:
                raise
        else:
            return


def test_settings_reach_the_camera_and_frames_carry_its_clock(fake: FakeCamera) -> None:
    with opened(
        pixel_format="Mono16", region_px=REGION_PX, exposure_us=5000.0, gain=1.0, trigger="off"
    ) as camera:
        frames = [next(camera) for _ in range(5)]
        time.sleep(1.0)
        late = [next(camera) for _ in range(2)][-1]
    assert {frame.shape for frame in frames} == {SHAPE}
    assert {str(frame.image.dtype) for frame in frames} == {"uint16"}
    numbers = [frame.device_frame for frame in frames]
    assert None not in numbers
    times_ns = [frame.device_time_ns for frame in frames if frame.device_time_ns is not None]
    assert times_ns == sorted(set(times_ns))
    assert len(times_ns) == 5
    # The fake camera's clock is the computer's.
    assert late.device_time_ns is not None
    assert abs(late.captured_at_s - late.device_time_ns / 1e9) < 0.5
    assert camera.lost > 5


@pytest.mark.parametrize(("pixel_format", "kind"), [("RGB8", "uint8"), ("BayerRG8", "uint8")])
def test_colour_becomes_gray(fake: FakeCamera, pixel_format: str, kind: str) -> None:
    with opened(pixel_format=pixel_format, region_px=REGION_PX) as camera:
        frame = next(camera)
    assert frame.shape == SHAPE
    assert frame.image.dtype == kind
    assert frame.colours is not None
    assert frame.colours.shape == (*SHAPE, 3)


def test_software_starts_a_frame_when_the_reader_asks(fake: FakeCamera) -> None:
    with opened(trigger="software", region_px=REGION_PX) as camera:
        next(camera)
        time.sleep(0.5)
        asked_s = time.time()
        assert next(camera).captured_at_s >= asked_s
        assert camera.lost == 0


def test_refused_settings_are_one_sentence_and_leave_the_camera_free(fake: FakeCamera) -> None:
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"exposure_us": 1e12}, "exposure_us = 1000000000000 .* 10 to 10000000"),
        ({"region_px": (0, 0, 9999, 10)}, "width = 9999 .* 1 to 2048"),
        ({"pixel_format": "Mono10"}, "pixel_format = Mono10 .* .*Mono16"),
        ({"trigger": "Line9"}, "trigger = Line9 .* Line0, Software"),
    )
    for settings, values in refused:
        with pytest.raises(SemedgeError, match=values):
            opened(**settings)
    with opened(trigger="off") as camera:
        next(camera)


def test_a_camera_that_is_frozen_stalls_in_time_and_goes_on(fake: FakeCamera) -> None:
    with opened(STALL_TIMEOUT_S, trigger="off", region_px=REGION_PX) as camera:
        next(camera)
        fake.freeze()
        error, waited_s = wait_until_stalled(camera, 10)
        assert abs(waited_s - STALL_TIMEOUT_S) < 0.7
        assert SOURCE in str(error)
        assert " 3 s" in str(error)
        fake.thaw()
        wait_for_frame(camera, 20)


def test_a_camera_that_died_is_opened_again(fake: FakeCamera) -> None:
    with opened(STALL_TIMEOUT_S, trigger="off", region_px=REGION_PX) as camera:
        next(camera)
        fake.kill()
        wait_until_stalled(camera, 10)
        fake.start()
        wait_for_frame(camera, 30)
        assert next(camera).shape == SHAPE


def test_a_trigger_that_does_not_come_is_no_reason_to_reconnect(fake: FakeCamera) -> None:
    with opened(trigger="off", region_px=REGION_PX) as camera:
        next(camera)
    with pytest.raises(SemedgeError, match=rf"{SOURCE} .* 3 s\b"):
        opened(STALL_TIMEOUT_S, trigger="Line0")


def test_an_absent_camera_is_refused(aravis: None) -> None:
    with pytest.raises(SemedgeError, match=r"aravis:nobody .* 2 s\b.*Aravis sees no camera"):
        open_camera("aravis:nobody", timeout_s=2.0)


class WireCamera:
    """Sends frames as GigE Vision packets to a connection, in place of the fake camera.

    It has no chunk data. The fake camera itself waits for a trigger.
    """

    def __init__(self, connection: AravisCapture, largest_bytes: int) -> None:
        self._data_bytes = connection._camera.gv_get_packet_size() - PACKET_HEADS_BYTES
        self._stream = connection._stream
        self._stream.stop_thread(True)
        for _ in range(4):
            self._stream.push_buffer(load_library().Buffer.new_allocate(largest_bytes))
        self._stream.start_thread()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._frames = 0

    def send(self, payload_type: int, payload: bytes, shape: tuple[int, int]) -> None:
        """One frame: a leader, its data and a trailer."""
        self._frames += 1
        height, width = shape
        leader = struct.pack(">HHQ", 0, payload_type, time.time_ns())
        leader += struct.pack(">IIIIIHH", MONO8, width, height, 0, 0, 0, 0)
        size = self._data_bytes
        parts = [payload[at : at + size] for at in range(0, len(payload), size)]
        trailer = struct.pack(">HHI", 0, payload_type, height)
        contents = [(1, leader), *((3, part) for part in parts), (2, trailer)]
        for number, (kind, content) in enumerate(contents):
            head = struct.pack(">HHI", 0, self._frames, kind << 24 | number)
            self._socket.sendto(head + content, ("127.0.0.1", self._stream.get_port()))

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono12p"])
def test_chunk_data_behind_the_pixels_changes_none_of_them(
    fake: FakeCamera, pixel_format: str
) -> None:
    """By every payload type that has pixels and chunks, and a buffer that is larger than both."""
    shape = (48, 63)
    values = np.random.default_rng(0).integers(0, 4096, shape, dtype=np.uint16)
    if pixel_format == "Mono8":
        expected, pixels = values.astype(np.uint8), values.astype(np.uint8).tobytes()
    else:
        # Each row fills whole bytes, which no padding tells.
        bits = (values[..., None] >> np.arange(12) & 1).astype(np.uint8).reshape(48, -1)
        pixels = np.packbits(bits, axis=1, bitorder="little").tobytes()
        expected = values << 4
    chunks = struct.pack(">II", 1, len(pixels)) + struct.pack(">dII", 3.5, 0x777, 8)
    settings = CameraSettings(trigger="software", region_px=(0, 0, shape[1], shape[0]))
    connection = AravisCapture("S1", settings, SOURCE)
    wire = WireCamera(connection, len(pixels) + 500)
    try:
        connection._pixel_format = pixel_format
        for payload_type, payload in (
            (IMAGE, pixels),
            (EXTENDED_CHUNKS, pixels + chunks),
            (CHUNKS, pixels + chunks),
        ):
            wire.send(payload_type, payload, shape)
            shot = connection.fetch(3.0)
            assert shot is not None
            assert shot.image is not None
            np.testing.assert_array_equal(shot.image, expected)
    finally:
        wire.close()
        connection.close()


def test_cameras_are_listed(fake: FakeCamera) -> None:
    (device,) = list_devices()
    assert (device.source, device.serial) == (SOURCE, "S1")


def test_a_camera_that_another_program_controls_says_so(fake: FakeCamera) -> None:
    with open_camera(SOURCE, timeout_s=TIMEOUT_S) as camera:
        next(camera)
        with pytest.raises(SemedgeError, match="another program controls it"):
            open_camera(SOURCE, timeout_s=TIMEOUT_S)
