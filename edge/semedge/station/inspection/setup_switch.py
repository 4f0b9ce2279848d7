"""The switch between the setups of a camera, each on trial until frames were judged by it."""

from __future__ import annotations

import threading

from semedge.station.camera_setup import CameraSetup, same_frames

GOOD_FRAMES = 3
"""Frames that must be judged without a fault before a setup is no longer on trial."""


class SetupSwitch:
    """Passes requested setups to the camera's loop; usable from every thread.

    A setup with another detector or camera is on trial at first: the previous one is kept ready, to
    fall back on. A detector that is no longer used is closed, except that of the first setup, which
    its owner closes.

    Parameters
    ----------
    setup
        The first setup.
    """

    def __init__(self, setup: CameraSetup) -> None:
        self._lock = threading.Lock()
        self._current = setup
        self._next: CameraSetup | None = None
        self._fallback: CameraSetup | None = None
        self._good_frames = 0
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
        """The setup to switch to, where its camera must be opened."""
        with self._lock:
            following = self._next
            if following is None or same_frames(following.camera, self._current.camera):
                return None
            return following

    def request(self, setup: CameraSetup) -> bool:
        """Request a setup, which the loop takes later; whether its camera must be opened."""
        with self._lock:
            dropped, self._next = self._next, setup
            if dropped is not None:
                self._close_unused(dropped)
            return not same_frames(setup.camera, self._current.camera)

    def take(self, *, camera_stays: bool = False) -> CameraSetup | None:
        """Switch to the requested setup; the previous one, or None where there is no request.

        With `camera_stays`, only a setup is taken whose camera need not be opened.
        """
        with self._lock:
            before, setup = self._current, self._next
            if setup is None or (camera_stays and not same_frames(setup.camera, before.camera)):
                return None
            self._current, self._next = setup, None
            if setup.detector is not before.detector or setup.camera != before.camera:
                self._good_frames = 0
                if self._fallback is None:
                    self._fallback = before
                else:
                    self._close_unused(before)
            return before

    @property
    def on_trial(self) -> bool:
        """Whether there is a setup to fall back on."""
        return self._fallback is not None

    def judged(self) -> bool:
        """Count a frame that was judged without a fault; whether it ends the trial."""
        with self._lock:
            fallback = self._fallback
            self._good_frames += 1
            if fallback is None or self._good_frames < GOOD_FRAMES:
                return False
            self._fallback = None
            self._close_unused(fallback)
            return True

    def fall_back(self) -> CameraSetup | None:
        """Return to the setup before the trial; the one that failed, or None without a trial."""
        with self._lock:
            if self._fallback is None:
                return None
            failed, self._current, self._fallback = self._current, self._fallback, None
            self._close_unused(failed)
            return failed

    def refuse(self, setup: CameraSetup) -> None:
        """Drop a requested setup that cannot be used."""
        with self._lock:
            if self._next is setup:
                self._next = None
            self._close_unused(setup)

    def close(self) -> None:
        """Close the detectors that were switched to."""
        with self._lock:
            ended = {id(each.detector): each for each in (self._current, self._fallback) if each}
            for setup in ended.values():
                if setup.detector is not self._first_detector:
                    setup.detector.close()

    def _close_unused(self, setup: CameraSetup) -> None:
        """Close the detector of a setup, unless another one needs it."""
        needed = (self._current, self._next, self._fallback)
        if all(each is None or each.detector is not setup.detector for each in needed):
            setup.detector.close()
