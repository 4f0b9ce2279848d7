"""A station's state and control, for tests of what shows the one and asks the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from semedge.core.errors import SemedgeError
from semedge.core.event import Level
from semedge.core.frame import Frame
from semedge.core.view import Rectangle
from semedge.decision.defect import Levels
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import ScoreMap
from semedge.journal.journal import Counters
from semedge.state.requests import MarkRequest, RequestHandler
from semedge.state.snapshot import ActiveSetup, Inspected
from semedge.state.state import StationState

GRID = PatchGrid((48, 64), 16, 16)
LEVELS = Levels(alarm=9.8, warn=8.0)


@dataclass
class RecordingControl:
    """Changes the state as a watch does, and records who requests what."""

    state: StationState
    recipe_files: list[Path] = field(default_factory=list)
    requests: list[tuple[object, ...]] = field(default_factory=list)
    fault: Exception | None = None

    def set_levels(self, camera: str, levels: Levels, who: str) -> None:
        self.requests.append(("levels", camera, levels.alarm, levels.warn, who))
        active_setup = self.state.snapshot().cameras[camera].active_setup
        assert active_setup is not None
        self.state.change(camera, active_setup=active_setup_of(levels, active_setup.recipe))

    def set_regions(self, camera: str, rectangles: tuple[Rectangle, ...], who: str) -> float | None:
        if any(width >= 320 and height >= 256 for _, _, width, height in rectangles):
            raise SemedgeError("Nothing is left of it; leave out smaller regions.")
        self.requests.append(("regions", camera, rectangles, who))
        active_setup = self.state.snapshot().cameras[camera].active_setup
        assert active_setup is not None
        self.state.change(
            camera, active_setup=replace(active_setup, leave_out_px=rectangles, is_drawn=True)
        )
        return 0.75

    def switch_recipe(self, camera: str, path: Path, who: str) -> None:
        if path.stem == "broken":
            raise SemedgeError(f"The recipe {path.name} is damaged; the old one goes on.")
        self.requests.append(("recipe", camera, path.stem, who))
        self.state.change(camera, active_setup=active_setup_of(LEVELS, path.stem))

    def recipes(self) -> list[Path]:
        if self.fault is not None:
            raise self.fault
        return self.recipe_files

    def acknowledge(self, event_id: str, who: str) -> None:
        self.requests.append(("acknowledge", event_id, who))

    def mark(self, request: MarkRequest, who: str) -> str:
        subject = request.event_id or request.frame
        self.requests.append(("mark", subject, request.mark, request.note, who))
        return f"{subject} is marked as {request.mark}."

    def reload(self, who: str) -> None:
        self.requests.append(("reload", who))

    def audit_refusal(self, who: str) -> None:
        self.requests.append(("token-refused", who))


def active_setup_of(levels: Levels, recipe: str | None = "fibre") -> ActiveSetup:
    return ActiveSetup(
        "ab" * 32, "cd" * 32, levels, 9.8, "At most 1 % of normal frames alarm.", 0.01, recipe
    )


def inspected(sequence: int, score: float = 5.0, level: Level | None = None) -> Inspected:
    """A frame with a ramp as its picture and its largest score in the middle."""
    image = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    scores = np.linspace(0, 1, len(GRID), dtype=np.float32)
    scores[len(GRID) // 2] = score
    frame = Frame(image, sequence, 1_764_000_000.0 + sequence, f"sim:1#{sequence}")
    latency_ms = {"wait": 1.0, "score": 20.0 + sequence % 3, "total": 25.0}
    return Inspected(frame, ScoreMap(GRID, scores, {}), level, latency_ms)


def running_station(
    name: str = "line 1", camera: str = "top"
) -> tuple[StationState, RecordingControl]:
    """A station that has inspected one frame, and its control."""
    state = StationState(name, [camera])
    state.change(
        camera, source="sim:1", activity="inspecting", active_setup=active_setup_of(LEVELS)
    )
    state.inspected(camera, inspected(1), Counters(frames_seen=1, frames_inspected=1))
    recipes = [Path("recipes/fibre.json"), Path("recipes/tile.json"), Path("recipes/broken.json")]
    return state, RecordingControl(state, recipes)


def request_handler_of(control: RecordingControl) -> RequestHandler:
    return RequestHandler(control.state, control)
