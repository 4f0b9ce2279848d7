"""A camera that plays a script, and a sink that keeps what it takes, for tests of the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from numpy.typing import NDArray

from semedge.cameras import Camera
from semedge.core.event import Event
from semedge.core.frame import Frame

CAPTURED_AT_S = 1_700_000_000.0


def wait_until(true: Callable[[], bool], timeout_s: float = 30) -> None:
    until_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.01)


Step = NDArray | Exception | Callable[[], NDArray]


class ScriptedCamera(Camera):
    """Gives the images of a list, raises its errors, and calls its functions for images."""

    def __init__(self, *script: Step, live: bool = False) -> None:
        super().__init__("script")
        self.live = live
        self._steps = iter(enumerate(script))

    def read(self) -> Frame:
        number, step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        image = step() if callable(step) else step
        return Frame(image, number, CAPTURED_AT_S + number, f"script #{number}")


@dataclass(frozen=True)
class Ready:
    """A camera that is there when it is opened."""

    camera: Camera
    shown: str = "script"

    def open(self) -> Camera:
        return self.camera


@dataclass
class Collector:
    """A sink that keeps what it takes, and can refuse."""

    name: str = "collector"
    events: list[Event] = field(default_factory=list)
    closed: bool = False
    on_deliver: Callable[[Event], None] = lambda alert: None

    def deliver(self, event: Event) -> None:
        self.on_deliver(event)
        self.events.append(event)

    def close(self) -> None:
        self.closed = True

    @property
    def alerts(self) -> list[Event]:
        """The starts of defects."""
        defects = [event for event in self.events if event.kind == "defect"]
        return [event for event in defects if event.phase == "start"]
