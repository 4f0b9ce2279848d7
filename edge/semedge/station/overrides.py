"""What was set at run time and holds after a restart, until the station file asks for more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.decision.defect import Levels
from semedge.journal.journal import Journal
from semedge.station.camera_setup import Setup
from semedge.station.load import LineChoice

SWITCHED = "switched"


def asked_for(setup: Setup) -> dict[str, Any]:
    """What a setup that the station file asks for is recognized by."""
    return setup.active_setup.to_document() | {"decision": asdict(setup.decision)}


def keep(
    journal: Journal, camera: str, setup: Setup, asked: Mapping[str, Any], path: Path | None
) -> None:
    """Keep a setup beside what the station file asked for when it was set.

    Parameters
    ----------
    journal
        Where it is kept.
    camera, setup
        What is in force from now on.
    asked
        What the file asks for; where that is the same, nothing is kept.
    path
        The recipe, where it was switched to now; one that was before stays.
    """
    if asked_for(setup) == asked:
        journal.keep_setting(camera, SWITCHED, None)
        return
    before = journal.setting(camera, SWITCHED) or {}
    if path is None and before.get("recipe_sha256") == setup.active_setup.recipe_sha256:
        path = before.get("path") and Path(before["path"])
    kept = {
        "asked": asked,
        "path": None if path is None else str(path.absolute()),
        "recipe_sha256": setup.active_setup.recipe_sha256,
        "levels": asdict(setup.levels),
    }
    journal.keep_setting(camera, SWITCHED, kept)


def take_up(journal: Journal, choice: LineChoice | None, camera: str, setup: Setup) -> Setup:
    """The setup that was kept for a camera, or the given one where none is.

    A detector of its own is the caller's to close. Raises `SemedgeError` where it cannot be taken
    up any more.
    """
    kept = journal.setting(camera, SWITCHED)
    if kept is None or kept["asked"] != asked_for(setup):
        return setup
    taken = setup
    if kept["path"] is not None and choice is not None:
        taken = choice.load_recipe(Path(kept["path"]))
        if taken.active_setup.recipe_sha256 != kept["recipe_sha256"]:
            taken.detector.close()
            raise SemedgeError(
                f"The recipe {kept['path']} was switched to and is another one now; switch to it "
                "again."
            )
    return replace(taken, levels=Levels(**kept["levels"]))


def load_with_overrides(journal: Journal, choice: LineChoice) -> Setup:
    """The setup that a watch would run for a camera now; its detector is the caller's to close."""
    setup = choice.load().setup
    try:
        taken = take_up(journal, choice, choice.name, setup)
    except BaseException:
        setup.detector.close()
        raise
    if taken.detector is not setup.detector:
        setup.detector.close()
    return taken
