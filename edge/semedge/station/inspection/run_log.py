"""A camera's runs in the journal: one for each setup that its frames are judged by."""

from __future__ import annotations

from semedge.journal.journal import Journal
from semedge.journal.records import Counters, WatchRun
from semedge.station.camera_setup import CameraSetup


class RunLog:
    """Begins the runs of one camera, and stores their counters.

    Parameters
    ----------
    journal
        The journal that stores them.
    camera
        Name of the camera.
    """

    def __init__(self, journal: Journal, camera: str) -> None:
        self._journal = journal
        self._camera = camera
        self._run: WatchRun | None = None

    @property
    def current(self) -> WatchRun:
        """The newest run."""
        assert self._run is not None
        return self._run

    def begin(self, setup: CameraSetup) -> None:
        """Begin a run by this setup; where the journal cannot be written, the last one goes on."""
        active, scale = setup.active_setup, setup.detector.score_scale
        self._run = self._journal.start_run(
            self._camera,
            setup.camera.shown,
            active.detector_sha256,
            active.levels.alarm,
            calibration_sha256=active.calibration_sha256,
            recipe_sha256=active.recipe_sha256,
            score_origin=scale.origin,
            score_unit=scale.unit,
        )

    def count(self, counters: Counters, *, ended: bool = False) -> None:
        """Store the counters of the current run, and with `ended` that it is over."""
        self._journal.count(self.current, counters, ended=ended)
