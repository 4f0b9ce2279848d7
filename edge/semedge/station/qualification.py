"""Qualification: which cameras passed their challenge set with their active setup."""

from __future__ import annotations

from collections.abc import Mapping

from semedge.journal.journal import Journal
from semedge.state.snapshot import ActiveSetup
from semedge.state.state import StationState

SETTING = "armed"
"""Name of the setup that passed in the journal."""

UNQUALIFIED = (
    "the challenge set has not been passed with the active setup; run `semedge check` for this "
    "station"
)


class Qualification:
    """Whether the cameras' loops may judge; usable from every camera's thread.

    Parameters
    ----------
    journal
        Where `semedge check` records the setups that passed.
    state
        Shows whether the whole station is qualified.
    required
        Whether a camera may judge only after it is qualified; if not, every camera may.
    """

    def __init__(self, journal: Journal, state: StationState, *, required: bool) -> None:
        self._journal = journal
        self._state = state
        self._required = required
        self._passed: Mapping[str, ActiveSetup] = {}

    def refresh(self, active_setups: Mapping[str, ActiveSetup]) -> None:
        """Read from the journal which of the cameras' setups passed."""
        if not self._required:
            return
        self._passed = {
            camera: setup
            for camera, setup in active_setups.items()
            if self._journal.setting(camera, SETTING) == setup.to_document()
        }
        self._state.change_station(qualified=self._passed.keys() == active_setups.keys())

    def covers(self, camera: str, setup: ActiveSetup) -> bool:
        """Whether the camera may judge by this setup."""
        return not self._required or self._passed.get(camera) == setup


def record_challenge(journal: Journal, camera: str, setup: ActiveSetup, *, passed: bool) -> None:
    """Record for `Qualification` whether this setup passed the challenge set."""
    if not passed and journal.setting(camera, SETTING) != setup.to_document():
        # The setup that failed is not the one that the camera is qualified with.
        return
    journal.save_setting(camera, SETTING, setup.to_document() if passed else None)
