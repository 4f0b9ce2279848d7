"""Whether a camera's judgement can be trusted: drift, and the challenge set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from semedge.decision.drift import DRIFT_TESTS, DriftMonitor, DriftSettings, Finding
from semedge.journal.journal import Journal
from semedge.state.snapshot import ActiveSetup
from semedge.state.state import StationState
from semedge.station.camera_setup import Setup
from semedge.station.recorder import EventRecorder, OngoingEvent

ARMED = "armed"
UNARMED = (
    "the challenge set has not been passed with what is in force now; run `semedge check` for this "
    "station"
)


class DriftTeller:
    """Tells of a camera's drift: its start, and its end.

    Parameters
    ----------
    recorder, state
        Take the events, and the p-values.
    camera
        Name of the camera.
    settings
        When a difference is called drift.
    """

    def __init__(
        self, recorder: EventRecorder, state: StationState, camera: str, settings: DriftSettings
    ) -> None:
        self._state = state
        self._camera = camera
        self._settings = settings
        self._drifts = {
            test: OngoingEvent(recorder, "drift", test, camera, level="warn")
            for test in DRIFT_TESTS
        }
        self._monitor: DriftMonitor | None = None

    def take(self, setup: Setup) -> None:
        """Begin again with what frames are judged by now."""
        self._monitor = DriftMonitor(
            setup.calibration, setup.active_setup.promised_rate, self._settings
        )

    def add(self, score: float, alarms: bool) -> None:
        """Take a frame."""
        if self._monitor is None:
            return
        findings = self._monitor.add(score, alarms)
        if findings:
            self._state.change(self._camera, drift={each.test: each.p_value for each in findings})
        for finding in findings:
            self._tell(finding)

    def _tell(self, finding: Finding) -> None:
        drift = self._drifts[finding.test]
        if finding.p_value < self._settings.significance:
            drift.start(finding.message, p_value=finding.p_value)
        elif finding.p_value > self._settings.end_above:
            drift.end(
                f"The last {self._settings.window_frames:,} frames are as the calibration says "
                "again.",
                p_value=finding.p_value,
            )


class Armed(Protocol):
    """A camera that judges only where it is armed for what is in force."""

    name: str
    armed_for: ActiveSetup | None

    @property
    def setup(self) -> Setup:
        """What frames are judged by."""


class Arming:
    """Arms the cameras whose challenge set was passed with what is in force.

    Parameters
    ----------
    journal
        Where `semedge check` notes what was passed.
    cameras
        The cameras, which are told.
    state
        Shows whether the station is armed.
    """

    def __init__(self, journal: Journal, cameras: Sequence[Armed], state: StationState) -> None:
        self._journal = journal
        self._cameras = cameras
        self._state = state

    def look(self) -> None:
        """See what was passed since."""
        for camera in self._cameras:
            active_setup = camera.setup.active_setup
            passed = self._journal.setting(camera.name, ARMED)
            camera.armed_for = active_setup if passed == active_setup.to_document() else None
        armed = all(camera.armed_for is not None for camera in self._cameras)
        self._state.change_station(qualified=armed)


def note_passed(journal: Journal, camera: str, active_setup: ActiveSetup, passed: bool) -> None:
    """Note for `Arming` that the challenge set was passed with what is in force, or was not."""
    if not passed and journal.setting(camera, ARMED) != active_setup.to_document():
        # What failed is not what the station is armed for.
        return
    journal.keep_setting(camera, ARMED, active_setup.to_document() if passed else None)
