"""Events of a camera's health: the start and the end of each problem."""

from __future__ import annotations

import time
from collections.abc import Iterable

from semedge.core.frame import Frame
from semedge.decision.health import CameraHealth, HealthChange, HealthSettings, Problem
from semedge.station.camera_setup import CameraSetup
from semedge.station.recorder import EventRecorder, OngoingEvent
from semedge_calibration import Appearance


class HealthReporter:
    """Reports the health of one camera.

    Parameters
    ----------
    recorder
        Records the events.
    camera
        Name of the camera.

    Attributes
    ----------
    is_fit
        Whether the last picture could be inspected.
    unfit_frames
        Number of frames so far whose pictures could not be inspected.
    """

    def __init__(self, recorder: EventRecorder, camera: str) -> None:
        self.is_fit = True
        self.unfit_frames = 0
        self._recorder = recorder
        self._camera = camera
        self._health: CameraHealth | None = None
        self._reference: tuple[HealthSettings, Appearance, float | None, bool] | None = None
        self._ongoing: dict[Problem, OngoingEvent] = {}

    def begin(self, setup: CameraSetup, *, live: bool) -> None:
        """Compare the pictures from now on with those of this setup's calibration."""
        calibration = setup.calibration
        reference = (setup.health, calibration.appearance, calibration.pixel_size_um, live)
        if self._health is not None and reference == self._reference:
            return
        self.close("The calibration that the pictures are compared with has changed")
        self._reference = reference
        training = setup.detector.bundle.manifest.training
        self._health = CameraHealth(
            setup.health,
            setup.calibration.appearance,
            training.intensity.standard_deviation,
            live=live,
            pixel_size_um=calibration.pixel_size_um,
        )

    def observe(self, frame: Frame) -> str:
        """The reason why the frame must not be inspected; empty where it may be."""
        assert self._health is not None
        seen = self._health.observe(frame, time.monotonic())
        self._report(seen.changes)
        self.is_fit = not seen.reason
        self.unfit_frames += not self.is_fit
        return seen.reason

    def no_frame(self, reason: str) -> None:
        """Report that no frame came in time."""
        if self._health is not None:
            self._report(self._health.no_frame(reason, time.monotonic()))

    def close(self, why: str) -> None:
        """End every problem, because no frame can end it."""
        if self._health is not None:
            self._report(self._health.close(why, time.monotonic()))
            self._health = None

    def _report(self, changes: Iterable[HealthChange]) -> None:
        for change in changes:
            if change.phase == "end":
                self._ongoing.pop(change.problem).end(change.message, **change.details)
                continue
            ongoing = OngoingEvent(
                self._recorder,
                "health",
                change.problem,
                self._camera,
                "alarm" if change.blocks_inspection else "warn",
            )
            self._ongoing[change.problem] = ongoing
            ongoing.start(change.message, **change.details)
