"""A station whose camera plays a script, for tests of what changes it while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from journal_support import rows
from scripted import Collector, ScriptedCamera

from semedge.cameras import Camera
from semedge.core.view import FrameView
from semedge.journal.journal import Journal
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import SourceChoice
from semedge.station.control import StationPlan
from semedge.station.load import load_cameras
from semedge.station.watch import Watch, WatchSettings


@dataclass(frozen=True)
class Scripted(SourceChoice):
    """A source whose camera plays a script."""

    script: tuple = field(default=(), compare=False)

    def open(self) -> Camera:
        camera = ScriptedCamera(*self.script)
        camera.view = FrameView(self.settings)
        return camera


@dataclass
class Station:
    """Everything that a watch needs but its frames."""

    folder: Path
    planned: CameraPlan
    collector: Collector = field(default_factory=Collector)

    def watch(self, journal: Journal, *script: object, reload: Callable | None = None) -> Watch:
        planned = replace(self.planned, camera=self._source(script))
        plan = StationPlan({"left": planned}, self.folder, reload)
        cameras = load_cameras([planned])
        settings = WatchSettings(self.folder / "pictures")
        return Watch(cameras, journal, [self.collector], settings, plan)

    def _source(self, script: tuple[object, ...]) -> SourceChoice:
        return Scripted("script", settings=self.planned.camera.settings, script=script)

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.sqlite"

    def rows(self, query: str) -> list[tuple]:
        return rows(self.journal_file, query)
