"""Setups are switched to between two frames, and a detector is closed once it is out of use."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from semedge.station.camera_setup import CameraSetup
from semedge.station.inspection.setup_switch import SetupSwitch


@dataclass(eq=False)
class FakeDetector:
    """Notes whether it was closed."""

    closed: bool = field(default=False)

    def close(self) -> None:
        self.closed = True


def make_setup(camera: str = "left", detector: FakeDetector | None = None) -> CameraSetup:
    detector = detector or FakeDetector()
    return cast(CameraSetup, SimpleNamespace(camera=camera, detector=detector))


def is_closed(setup: CameraSetup) -> bool:
    return cast(FakeDetector, setup.detector).closed


def test_a_requested_setup_is_the_newest_and_current_once_taken() -> None:
    first, second = make_setup(), make_setup()
    switch = SetupSwitch(first)
    assert switch.take() is None
    assert not switch.request(second)
    assert (switch.current, switch.newest) == (first, second)
    assert switch.take() is first
    assert (switch.current, switch.newest) == (second, second)
    assert switch.take() is None


def test_a_request_that_another_one_replaces_is_closed() -> None:
    first, second, third = make_setup(), make_setup(), make_setup()
    switch = SetupSwitch(first)
    switch.request(second)
    switch.request(third)
    assert [is_closed(each) for each in (first, second, third)] == [False, True, False]


def test_a_detector_that_is_still_in_use_is_not_closed() -> None:
    detector = FakeDetector()
    first, second, third = (make_setup(detector=detector) for _ in range(3))
    switch = SetupSwitch(first)
    switch.request(second)
    switch.request(third)
    switch.refuse(third)
    switch.close()
    assert not detector.closed


def test_another_camera_waits_until_the_camera_may_change() -> None:
    first, second = make_setup("left"), make_setup("right")
    switch = SetupSwitch(first)
    assert switch.next_with_other_camera is None
    assert switch.request(second)
    assert switch.next_with_other_camera is second
    assert switch.take(camera_stays=True) is None
    assert switch.take() is first
    assert switch.next_with_other_camera is None


def test_a_refused_setup_is_closed_and_the_current_one_stays() -> None:
    first, second = make_setup("left"), make_setup("right")
    switch = SetupSwitch(first)
    switch.request(second)
    switch.refuse(second)
    assert is_closed(second)
    assert switch.newest is first


def test_at_the_end_only_a_detector_that_was_switched_to_is_closed() -> None:
    first, second = make_setup(), make_setup()
    switch = SetupSwitch(first)
    switch.close()
    assert not is_closed(first)
    switch.request(second)
    switch.take()
    switch.close()
    assert (is_closed(first), is_closed(second)) == (False, True)
