"""The switch between the setups of a camera."""

from __future__ import annotations

import threading

from semedge.station.camera_setup import CameraSetup


class SetupSwitch:
    """Passes requested setups to the camera's loop; usable from every thread.

    A detector that is no longer used is closed, except that of the first setup, which its owner
    closes.

    Parameters
    ----------
    setup
        The first setup.
    """

    def __init__(self, setup: CameraSetup) -> None:
        self._lock = threading.Lock()
        self._current = setup
        self._next: CameraSetup | None = None
        self._first_detector = setup.detector

    @property
    def current(self) -> CameraSetup:
        """The setup in use, which only `take` changes."""
        return self._current

    @property
    def newest(self) -> CameraSetup:
        """The setup to switch to, or the one in use where there is none."""
        with self._lock:
            return self._next or self._current

    @property
    def next_with_other_camera(self) -> CameraSetup | None:
        """The setup to switch to, where its camera is another one."""
        with self._lock:
            following = self._next
            if following is None or following.camera == self._current.camera:
                return None
            return following

    def request(self, setup: CameraSetup) -> bool:
        """Request a setup, which the loop takes later; whether its camera is another one."""
        with self._lock:
            dropped, self._next = self._next, setup
            in_use = (setup.detector, self._current.detector)
            if dropped is not None and dropped.detector not in in_use:
                dropped.detector.close()
            return setup.camera != self._current.camera

    def take(self, *, camera_stays: bool = False) -> CameraSetup | None:
        """Switch to the requested setup; the one before, or None where there is no request.

        With `camera_stays`, only a setup with the same camera is taken.
        """
        with self._lock:
            before, setup = self._current, self._next
            if setup is None or (camera_stays and setup.camera != before.camera):
                return None
            self._current, self._next = setup, None
            return before

    def refuse(self, setup: CameraSetup) -> None:
        """Drop a requested setup that cannot be used."""
        with self._lock:
            if self._next is setup:
                self._next = None
        if setup.detector is not self._current.detector:
            setup.detector.close()

    def close(self) -> None:
        """Close a detector that was switched to."""
        if self._current.detector is not self._first_detector:
            self._current.detector.close()
