"""Overrides: setups chosen at run time, active until the station file changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.decision.defect import Levels
from semedge.journal.journal import Journal
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import CameraChoice, CameraSetup, SourceChoice
from semedge.station.load import load_recipe, load_setup

SETTING = "switched"
"""Name of a camera's override in the journal."""
ATTEMPTS = "starts"
"""Name of the number of starts with an override that is on trial."""
MOST_ATTEMPTS = 3
LEVELS = {"alarm", "warn"}
"""The keys of a decision that the levels of a setup were made from."""


def fingerprint(setup: CameraSetup) -> dict[str, Any]:
    """The values that distinguish the setups of a station file."""
    decision = setup.decision.model_dump(exclude=LEVELS)
    return setup.active_setup.to_document() | {"decision": decision}


def save_override(
    journal: Journal,
    camera: str,
    setup: CameraSetup,
    file_setup: Mapping[str, Any],
    path: Path | None,
) -> None:
    """Save a setup that was chosen at run time, so that it is active after a restart.

    Parameters
    ----------
    journal
        The journal that stores it.
    camera, setup
        The setup that the camera's frames are judged by from now on.
    file_setup
        Fingerprint of the setup in the station file; where the new setup has the same one, the
        override is deleted.
    path
        The recipe, where the change is a switch to it; with None an earlier one stays.
    """
    if fingerprint(setup) == file_setup:
        journal.save_setting(camera, SETTING, None)
        return
    before = journal.setting(camera, SETTING) or {}
    if path is None and before.get("recipe_sha256") == setup.active_setup.recipe_sha256:
        path = before.get("path") and Path(before["path"])
    override = {
        "asked": file_setup,
        "path": None if path is None else str(path.absolute()),
        "recipe_sha256": setup.active_setup.recipe_sha256,
        "levels": asdict(setup.levels),
        "regions": _drawn_regions(setup),
    }
    journal.save_setting(camera, SETTING, override)


def apply_override(
    journal: Journal, choice: CameraPlan | None, camera: str, setup: CameraSetup
) -> CameraSetup:
    """The setup with the camera's override, or the given one where there is none.

    Where its detector differs, the caller closes both. Raises `SemedgeError` where the override can
    no longer be applied.
    """
    override = journal.setting(camera, SETTING)
    if override is None or override["asked"] != fingerprint(setup):
        return setup
    overridden = setup
    if override["path"] is not None and choice is not None:
        overridden = load_recipe(choice, Path(override["path"]))
        if overridden.active_setup.recipe_sha256 != override["recipe_sha256"]:
            overridden.detector.close()
            raise SemedgeError(
                f"The recipe {override['path']} has changed since it was switched to; switch to it "
                "again."
            )
    return replace(
        overridden,
        camera=_drawn_again(overridden.camera, override.get("regions")),
        levels=Levels(**override["levels"]),
    )


def _drawn_regions(setup: CameraSetup) -> dict[str, Any] | None:
    """What was drawn, and in place of what; None where nothing was."""
    camera = setup.camera
    if not isinstance(camera, SourceChoice) or camera.undrawn_px is None:
        return None
    return {"instead_of": camera.undrawn_px, "drawn": camera.settings.leave_out_px}


def _drawn_again(camera: CameraChoice, regions: Mapping[str, Any] | None) -> CameraChoice:
    """The camera with what was drawn, unless its rectangles are others than before."""
    if regions is None or not isinstance(camera, SourceChoice):
        return camera
    before, drawn = (tuple(map(tuple, regions[name])) for name in ("instead_of", "drawn"))
    return camera.leaving_out(drawn) if camera.settings.leave_out_px == before else camera


def overriding_recipe(journal: Journal, camera: str, setup: CameraSetup) -> Path | None:
    """The recipe that was switched to, where this setup is of it; None for that of the file."""
    override = journal.setting(camera, SETTING)
    if override is None or override["recipe_sha256"] != setup.active_setup.recipe_sha256:
        return None
    return None if override["path"] is None else Path(override["path"])


def count_attempt(journal: Journal, camera: str) -> None:
    """Count a start with the camera's override, until `clear_attempts` after its trial.

    Raises `SemedgeError`, and drops the override, where too many starts in a row ended during its
    trial, as where it kills the process.
    """
    if journal.setting(camera, SETTING) is None:
        return
    attempts = journal.setting(camera, ATTEMPTS) or 0
    if attempts >= MOST_ATTEMPTS:
        journal.save_setting(camera, SETTING, None)
        clear_attempts(journal, camera)
        raise SemedgeError(
            f"{attempts} starts in a row ended before {camera} had judged frames by it; it is "
            "dropped, and the setup of the station file is active."
        )
    journal.save_setting(camera, ATTEMPTS, attempts + 1)


def clear_attempts(journal: Journal, camera: str) -> None:
    """Forget the starts that were counted."""
    if journal.setting(camera, ATTEMPTS) is not None:
        journal.save_setting(camera, ATTEMPTS, None)


def load_with_overrides(journal: Journal, choice: CameraPlan) -> CameraSetup:
    """The setup that a watch would use for a camera now; the caller closes its detector."""
    setup = load_setup(choice)
    try:
        overridden = apply_override(journal, choice, choice.name, setup)
    except BaseException:
        setup.detector.close()
        raise
    if overridden.detector is not setup.detector:
        setup.detector.close()
    return overridden
