"""Events of a camera's drift: its start, and its end."""

from __future__ import annotations

from semedge.decision.drift import DRIFT_TESTS, DriftMonitor, Finding
from semedge.decision.fields import fields_in_frame
from semedge.state.state import StationState
from semedge.station.camera_setup import CameraSetup
from semedge.station.recorder import EventRecorder, OngoingEvent


class DriftReporter:
    """Reports the drift of one camera.

    Parameters
    ----------
    recorder, state
        Record the events, and show the p-values.
    camera
        Name of the camera.
    setup
        The setup of the camera, with its calibration and drift settings.
    """

    def __init__(
        self, recorder: EventRecorder, state: StationState, camera: str, setup: CameraSetup
    ) -> None:
        self._state = state
        self._camera = camera
        self._events = {
            test: OngoingEvent(recorder, "drift", test, camera, level="warn")
            for test in DRIFT_TESTS
        }
        self.restart(setup)

    def restart(self, setup: CameraSetup) -> None:
        """Start a new window, because frames are judged by another setup."""
        self._setup = setup
        self._frame_shape: tuple[int, int] | None = None
        self._monitor: DriftMonitor | None = None

    def add(self, score: float, frame_shape: tuple[int, int], *, is_alarm: bool) -> None:
        """Add a frame, and report the result of the window that it completes."""
        if self._monitor is None or frame_shape != self._frame_shape:
            setup, self._frame_shape = self._setup, frame_shape
            self._monitor = DriftMonitor(
                setup.calibration,
                setup.active_setup.guaranteed_rate is not None,
                setup.drift,
                fields_in_frame(setup.calibration.grid, frame_shape),
            )
        findings = self._monitor.add(score, is_alarm)
        if findings:
            self._state.change(self._camera, drift={each.test: each.p_value for each in findings})
        for finding in findings:
            self._report(finding)

    def _report(self, finding: Finding) -> None:
        drift = self._events[finding.test]
        if finding.is_drift:
            drift.start(finding.message, p_value=finding.p_value)
        elif finding.p_value > self._setup.drift.end_above:
            drift.end(
                f"The last {self._setup.drift.window_frames:,} frames match the calibration again.",
                p_value=finding.p_value,
            )
