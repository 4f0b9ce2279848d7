"""What is told of a camera's health: each problem's start and end, and why nothing is inspected."""

from __future__ import annotations

import time
from collections.abc import Iterable

from semedge.core.frame import Frame
from semedge.decision.health import CameraHealth, HealthChange, HealthSettings, Problem
from semedge.station.camera_setup import Setup
from semedge.station.recorder import Happening, Recorder
from semedge_calibration import Appearance


class HealthTeller:
    """Tells of the health of one camera.

    Parameters
    ----------
    recorder
        Takes the events.
    camera
        Name of the camera.
    """

    def __init__(self, recorder: Recorder, camera: str) -> None:
        self._recorder = recorder
        self._camera = camera
        self._health: CameraHealth | None = None
        self._held_against: tuple[HealthSettings, Appearance, bool] | None = None
        self._happenings: dict[Problem, Happening] = {}

    def begin(self, setup: Setup, *, live: bool) -> None:
        """Hold the pictures from now on against those that this setup is for."""
        held_against = (setup.health, setup.calibration.appearance, live)
        if self._health is not None and held_against == self._held_against:
            return
        self.close("What the pictures are held against has changed")
        self._held_against = held_against
        training = setup.detector.bundle.manifest.training
        self._health = CameraHealth(
            setup.health,
            setup.calibration.appearance,
            training.intensity.standard_deviation,
            live=live,
        )

    def observe(self, frame: Frame) -> str:
        """Why the frame is not to be inspected; empty where it is."""
        assert self._health is not None
        seen = self._health.observe(frame, time.monotonic())
        self._tell(seen.changes)
        return seen.reason

    def silent(self, reason: str) -> None:
        """Tell that no frame came in time."""
        if self._health is not None:
            self._tell(self._health.no_frame(reason, time.monotonic()))

    def close(self, why: str) -> None:
        """End what lasts, because no frame will tell of its end."""
        if self._health is not None:
            self._tell(self._health.close(why, time.monotonic()))
            self._health = None

    def _tell(self, changes: Iterable[HealthChange]) -> None:
        for change in changes:
            if change.phase == "end":
                self._happenings.pop(change.problem).end(change.message, **change.details)
                continue
            happening = Happening(
                self._recorder,
                "health",
                change.problem,
                self._camera,
                "alarm" if change.blocks_inspection else "warn",
            )
            self._happenings[change.problem] = happening
            happening.start(change.message, **change.details)
