"""A watch of scripted cameras, for tests of what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundles import normal_frames, with_film
from journal_support import rows
from scripted import Collector, Ready, ScriptedCamera

from semedge.cameras import CameraStalledError
from semedge.decision.calibration_file import load_calibration
from semedge.decision.defect import DecisionSettings, Levels
from semedge.decision.drift import DriftSettings
from semedge.inference.detector import Detector
from semedge.journal.journal import Journal
from semedge.sinks.base import Sink
from semedge.station.camera_setup import DEFAULT_DRIFT, CameraChoice, CameraSetup, StationCamera
from semedge.station.inspection.limits import LoopLimits
from semedge.station.retention import RetentionSettings
from semedge.station.summary import WatchSummary
from semedge.station.systemd import SHORTEST_HANG_S
from semedge.station.watch import Watch, WatchSettings

NORMAL = normal_frames()[0]
FILMED = with_film(NORMAL)
STALL = CameraStalledError("The camera script gave no frame for 0.01 s.")
ALWAYS_ROOM = RetentionSettings(least_free_bytes=0, most_bytes=20_000_000_000)


@dataclass(frozen=True)
class WatchBench:
    """A detector, its calibration, and a folder for the journal and the pictures."""

    detector: Detector
    calibration_file: Path
    folder: Path

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.sqlite"

    def watch(
        self, camera: ScriptedCamera, sinks: list[Sink] | None = None, **options: Any
    ) -> WatchSummary:
        with Journal(self.journal_file) as journal:
            return self.prepare(camera, journal, sinks, **options).run()

    def prepare(
        self,
        camera: ScriptedCamera,
        journal: Journal,
        sinks: list[Sink] | None = None,
        **options: Any,
    ) -> Watch:
        return self.prepare_cameras({"left": camera}, journal, sinks, **options)

    def prepare_cameras(
        self,
        cameras: Mapping[str, CameraChoice | ScriptedCamera],
        journal: Journal,
        sinks: list[Sink] | None = None,
        *,
        pictures: Path | None = None,
        decision: dict[str, Any] | None = None,
        levels: Levels | None = None,
        drift: DriftSettings = DEFAULT_DRIFT,
        retention: RetentionSettings = ALWAYS_ROOM,
        hang_after_s: float = SHORTEST_HANG_S,
        **limits: Any,
    ) -> Watch:
        calibration = load_calibration(self.calibration_file, self.detector)
        setups = {
            name: CameraSetup(
                Ready(camera) if isinstance(camera, ScriptedCamera) else camera,
                self.detector,
                calibration,
                levels or Levels(calibration.threshold),
                DecisionSettings(**(decision or {})),
                drift=drift,
            )
            for name, camera in cameras.items()
        }
        return Watch(
            [StationCamera(name, setup) for name, setup in setups.items()],
            journal,
            [Collector()] if sinks is None else sinks,
            WatchSettings(
                pictures or self.folder / "pictures",
                "line 4",
                LoopLimits(**limits),
                retention,
                hang_after_s=hang_after_s,
            ),
        )

    def rows(self, query: str) -> list[tuple]:
        return rows(self.journal_file, query)
