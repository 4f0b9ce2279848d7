"""The recipe that a lesson ends in: its name, and how it is saved with its frames."""

from __future__ import annotations

import shutil
from pathlib import Path

from semedge.cameras import CameraSettings
from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings
from semedge.state.snapshot import camera_label
from semedge.station.camera_setup import CameraSetup
from semedge.station.lesson_files import LessonFacts, LessonFiles
from semedge.station.recipe import SUFFIX, check_name, make_recipe
from semedge.station.relearn import FRAMES_SUFFIX

PERSON = "page: "
"""What precedes a person's name in the audit trail."""


def check_free_name(name: str, folder: Path) -> None:
    """Raise `SemedgeError` where a recipe cannot have this name, or another one has it."""
    check_name(name)
    # A recipe's frames may have outlived it.
    if any((folder / f"{name}{suffix}").exists() for suffix in (SUFFIX, FRAMES_SUFFIX)):
        raise SemedgeError(
            f"There is a recipe {name} already; choose another name, such as {name}-2."
        )


def following_recipe(camera: str, setup: CameraSetup) -> tuple[str, int]:
    """Name and version of the recipe that follows a camera's; `SemedgeError` where it has none."""
    recipe = setup.recipe
    if recipe is None:
        label = camera_label(camera)
        raise SemedgeError(
            f"{label[:1].upper()}{label[1:]} has no recipe that could be learned again; collect "
            "frames in place of that."
        )
    version = recipe.version + 1
    return f"{recipe.name.removesuffix(f'-{recipe.version}')}-{version}", version


def save_recipe(
    files: LessonFiles,
    facts: LessonFacts,
    folder: Path,
    decision: DecisionSettings,
    camera: CameraSettings,
) -> None:
    """Write the recipe, and the frames it was learned from beside it, or neither.

    The frames are there for learning again. `SemedgeError` where something cannot be written.
    """
    check_free_name(facts.name, folder)
    frames = folder / f"{facts.name}{FRAMES_SUFFIX}"
    try:
        files.keep_frames(facts, frames)
        make_recipe(
            folder / f"{facts.name}{SUFFIX}",
            facts.name,
            files.detector.read_bytes(),
            files.calibration.read_bytes(),
            version=facts.version,
            note=f"Taught at the station by {facts.who.removeprefix(PERSON)}.",
            decision=decision,
            camera=camera,
        )
    except BaseException:
        shutil.rmtree(frames, ignore_errors=True)
        raise
