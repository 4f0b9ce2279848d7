"""A lesson at a station whose camera a test plays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from semedge.cameras import CameraSettings
from semedge.cameras.settings import AS_IT_IS
from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.decision.defect import DecisionSettings
from semedge.journal.journal import Journal
from semedge.state.state import StationState
from semedge.station.teaching import StationTeaching

SHAPE = (96, 128)
ANN, BOB = "page: Ann", "page: Bob"


@dataclass
class PlayedCamera:
    """A camera whose newest frame a test sets."""

    name: str = "top"
    newest_frame: Frame | None = None
    setup: Any = field(
        default_factory=lambda: SimpleNamespace(camera=SimpleNamespace(shown="sim:7"))
    )

    @contextmanager
    def playing(
        self, every_s: float = 0.005, image: Callable[[int], Any] | None = None
    ) -> Iterator[None]:
        """Show one simulated frame after the other, or those of `image`."""
        over = threading.Event()
        line = SimulatedLine(7, SHAPE, defect_rate=0.0)

        def play() -> None:
            number = 0
            while not over.wait(every_s):
                pixels = line.frame(number).image if image is None else image(number)
                self.newest_frame = Frame(pixels, number, time.time(), f"sim:7#{number}")
                number += 1

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@dataclass
class PlayedControl:
    """The recipes of a station."""

    recipes_folder: Path | None
    station_file: Path | None = None

    def recipe_settings(self, camera: str) -> tuple[DecisionSettings, CameraSettings]:
        return DecisionSettings(frames_above=2, of_frames=3), AS_IT_IS


@dataclass
class Classroom:
    """A station that is taught."""

    folder: Path
    camera: PlayedCamera
    control: PlayedControl
    journal: Journal
    teaching: StationTeaching

    @property
    def phase(self) -> str:
        return str(self.teaching.document()["phase"])

    def ask(self, action: str, who: str = ANN, **more: Any) -> str:
        return self.teaching.handle({"action": action, **more}, who)

    def wait(self, phase: str, timeout_s: float = 60) -> dict[str, Any]:
        until_s = time.monotonic() + timeout_s
        while self.phase != phase:
            assert time.monotonic() < until_s, self.teaching.document()
            time.sleep(0.02)
        return self.teaching.document()

    def collect(self, frames: int = 6, **more: Any) -> dict[str, Any]:
        """Collect frames, and wait for them."""
        with self.camera.playing():
            self.ask("collect", name="film", frames=frames, **more)
            return self.wait("collected")


def teaching_of(
    camera: PlayedCamera, control: PlayedControl, journal: Journal, folder: Path
) -> StationTeaching:
    state = StationState("line", [camera.name])
    return StationTeaching([camera], state, control, journal, folder)


@contextmanager
def classroom(folder: Path) -> Iterator[Classroom]:
    """A station with an empty folder of recipes."""
    (folder / "recipes").mkdir()
    camera, control = PlayedCamera(), PlayedControl(folder / "recipes")
    with Journal(folder / "journal.sqlite") as journal:
        teaching = teaching_of(camera, control, journal, folder / "teaching")
        try:
            yield Classroom(folder, camera, control, journal, teaching)
        finally:
            teaching.close()
