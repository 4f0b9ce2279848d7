"""What live cameras share, on connections that follow a script."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from semedge.cameras import CameraStalledError
from semedge.cameras.live import (
    Capture,
    CaptureLostError,
    FrameNumbers,
    LiveCamera,
    Shot,
)
from semedge.core.errors import SemedgeError

pytestmark = pytest.mark.alone

IMAGE = np.zeros((4, 6), np.uint8)
TIMEOUT_S = 0.5


@dataclass
class ScriptedCapture(Capture):
    """Gives shots and raises errors in turn, and then nothing."""

    script: Iterator[Shot | Exception]
    closed: bool = False
    reads_s: list[float] = field(default_factory=list)

    def read(self) -> Shot | None:
        self.reads_s.append(time.monotonic())
        step = next(self.script, None)
        if isinstance(step, Exception):
            raise step
        if step is None:
            time.sleep(0.02)
        return step

    def close(self) -> None:
        self.closed = True


class ScriptedCamera(LiveCamera):
    """Opens the captures of a list."""

    def __init__(self, *captures: ScriptedCapture | Exception) -> None:
        self.captures = list(captures)
        self._next = iter(self.captures)
        super().__init__("script", timeout_s=TIMEOUT_S)

    def connect(self) -> Capture:
        capture = next(self._next, SemedgeError("nothing more"))
        if isinstance(capture, Exception):
            raise capture
        return capture


def capture(*script: Shot | Exception) -> ScriptedCapture:
    return ScriptedCapture(iter(script))


@pytest.mark.parametrize(
    ("numbers", "missed"),
    [
        ([0, 1, 2], 0),
        ([5, 6, 9], 2),
        ([None, None], 0),
        ([3, None, 9], 0),
        ([7, 7], 0),
        # GigE Vision's 16-bit numbers leave out 0.
        ([65_534, 65_535, 1, 2], 0),
        ([65_533, 2], 3),
        # The camera was switched off and on.
        ([5_000, 1, 2], 0),
    ],
)
def test_missing_frames_are_counted_by_their_numbers(
    numbers: list[int | None], missed: int
) -> None:
    counter = FrameNumbers()
    assert sum(counter.missed(number) for number in numbers) == missed


def test_damaged_and_missing_frames_are_lost_and_leave_gaps() -> None:
    script = (Shot(IMAGE, 1), Shot(None, 2), Shot(None, 3), Shot(IMAGE, 6))
    with ScriptedCamera(capture(*script)) as camera:
        time.sleep(0.1)
        frame = next(camera)
    assert (frame.device_frame, frame.sequence) == (6, 5)
    # The first was replaced, two were damaged, two never came.
    assert camera.lost == 5


def test_a_camera_with_nothing_but_damaged_frames_is_stalled_and_opened_again() -> None:
    first = capture(Shot(IMAGE), *[Shot(None)] * 100_000)
    again = capture(Shot(IMAGE, 9))
    with ScriptedCamera(first, again) as camera:
        next(camera)
        with pytest.raises(CameraStalledError, match=r" 0\.5 s\b.*reconnected"):
            next(camera)
        for _ in range(10):
            try:
                frame = next(camera)
            except CameraStalledError:
                continue
            break
    assert frame.device_frame == 9
    assert first.closed
    assert again.closed


def test_a_stall_is_reported_with_its_reason() -> None:
    broken = capture(Shot(IMAGE), CaptureLostError("it was unplugged"))
    with ScriptedCamera(broken, capture()) as camera:
        next(camera)
        with pytest.raises(CameraStalledError, match=r"\(it was unplugged\)\.$"):
            next(camera)


def test_an_error_of_a_library_does_not_end_the_thread() -> None:
    broken = capture(Shot(IMAGE), ZeroDivisionError("inside"))
    with ScriptedCamera(broken, capture(Shot(IMAGE, 2))) as camera:
        next(camera)
        for _ in range(10):
            try:
                assert next(camera).device_frame == 2
            except CameraStalledError:
                continue
            break
        else:
            pytest.fail("the camera was not opened again")


def test_frames_on_demand_are_taken_only_when_the_reader_waits() -> None:
    on_demand = capture(*[Shot(IMAGE)] * 10)
    on_demand.on_demand = True
    with ScriptedCamera(on_demand) as camera:
        time.sleep(0.2)
        assert len(on_demand.reads_s) == 1
        next(camera)
        time.sleep(0.2)
        assert len(on_demand.reads_s) == 1
        requested_s = time.monotonic()
        next(camera)
        assert on_demand.reads_s[1] >= requested_s
        assert camera.lost == 0


def test_a_camera_that_does_not_connect_is_refused_with_the_reason() -> None:
    with pytest.raises(SemedgeError, match=r" 0\.5 s\b.*\(no such camera\)\.$"):
        ScriptedCamera(SemedgeError("no such camera."), SemedgeError("no such camera."))
