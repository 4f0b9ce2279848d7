"""What a person or a machine may change while the station runs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from semedge.decision.defect import Levels


class Control(Protocol):
    """The one way to change a running watch: thread-safe, audited, refused in one sentence.

    Every method raises `SemedgeError`, and leaves everything as it was, where the change cannot be
    made. `who` names the person or the way the change came, such as `page` or `mqtt`.
    """

    def set_levels(self, camera: str, levels: Levels, who: str) -> None:
        """Judge the camera's frames by these levels from the next one on, across restarts."""

    def switch_recipe(self, camera: str, path: Path, who: str) -> None:
        """Judge the camera's frames by a recipe from the next one on, without losing one."""

    def recipes(self) -> list[Path]:
        """Recipe files in the station's folder of recipes, by name."""

    def acknowledge(self, event_id: str, who: str) -> None:
        """Note that somebody has seen the event."""

    def reload(self, who: str) -> None:
        """Read the station file again and change what it changes."""
