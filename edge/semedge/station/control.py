"""`Control` of a running watch: applies changes, saves, records and reports them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.decision.defect import Levels
from semedge.journal.journal import Journal
from semedge.state.snapshot import ActiveSetup
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import CameraSetup
from semedge.station.inspection.loop import CameraLoop
from semedge.station.load import load_cameras, load_recipe
from semedge.station.overrides import apply_override, fingerprint, save_override
from semedge.station.recipe import recipes_in
from semedge.station.recorder import EventRecorder, new_event

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StationPlan:
    """The settings of the station file and the command line.

    Attributes
    ----------
    cameras
        The cameras by name.
    recipes
        Folder of the recipes to switch to; None for none.
    reload
        Reads the station file again; None where there is none.
    """

    cameras: Mapping[str, CameraPlan] = field(default_factory=dict)
    recipes: Path | None = None
    reload: Callable[[], StationPlan] | None = None


class StationControl:
    """`Control` of the loops of one watch.

    A change is saved as an override in the journal. It stays active after a restart, until the
    setup in the station file changes.

    Parameters
    ----------
    loops
        The cameras' loops.
    recorder
        Records the events.
    journal
        Stores overrides, the audit trail and acknowledgements.
    plan
        The settings of the station file.
    """

    def __init__(
        self,
        loops: Sequence[CameraLoop],
        recorder: EventRecorder,
        journal: Journal,
        plan: StationPlan,
    ) -> None:
        self._loops = {each.name: each for each in loops}
        self._recorder = recorder
        self._journal = journal
        self._plan = plan
        self._lock = threading.Lock()
        self._file_setups = {name: fingerprint(each.setup) for name, each in self._loops.items()}

    def restore(self) -> None:
        """Apply the overrides from before a restart; called before the loops run."""
        for name, loop in self._loops.items():
            before = loop.setup
            choice = self._plan.cameras.get(name)
            try:
                overridden = apply_override(self._journal, choice, name, before)
            except SemedgeError as error:
                logger.warning(
                    f"The override of {name} is not applied: {error}",
                    extra={"event": "not-restored"},
                )
                continue
            if overridden is not before:
                logger.info(
                    f"The overrides of {name} from before the restart are active: "
                    f"{_difference(before.active_setup, overridden.active_setup)}.",
                    extra={"event": "restored"},
                )
                loop.switch(overridden)

    def set_levels(self, camera: str, levels: Levels, who: str) -> None:
        """Judge the camera's frames by these levels from the next one on, across restarts."""
        with self._lock:
            setup = self._loop(camera).setup
            self._switch(camera, replace(setup, levels=levels), "levels", who)

    def switch_recipe(self, camera: str, path: Path, who: str) -> None:
        """Judge the camera's frames by a recipe from the next one on, without losing one."""
        with self._lock:
            self._loop(camera)
            choice = self._plan.cameras.get(camera)
            if choice is None:
                raise SemedgeError(
                    f"The camera {camera} has no source, so it cannot switch to a recipe; name its "
                    "source in the station file."
                )
            setup = load_recipe(choice, path)
            try:
                self._switch(camera, setup, "recipe", who, path)
            except BaseException:
                setup.detector.close()
                raise

    def recipes(self) -> list[Path]:
        """Recipe files in the station's folder of recipes, by name."""
        return [] if self._plan.recipes is None else recipes_in(self._plan.recipes)

    def acknowledge(self, event_id: str, who: str) -> None:
        """Record that somebody has seen the event."""
        self._journal.acknowledge(event_id, who)

    def reload(self, who: str) -> None:
        """Read the station file again, and apply its changes."""
        with self._lock:
            if self._plan.reload is None:
                raise SemedgeError(
                    "This watch has no station file to read again; start it with --station."
                )
            plan = self._plan.reload()
            if set(plan.cameras) != set(self._loops):
                raise SemedgeError(
                    f"The station file names the cameras {', '.join(plan.cameras)}, and "
                    f"{', '.join(self._loops)} are watched; restart to change that."
                )
            setups = {each.name: each.setup for each in load_cameras(list(plan.cameras.values()))}
            before, self._plan = self._plan, plan
            for name, setup in setups.items():
                same_camera = plan.cameras[name].camera == before.cameras[name].camera
                if same_camera and fingerprint(setup) == self._file_setups[name]:
                    setup.detector.close()
                else:
                    self._file_setups[name] = fingerprint(setup)
                    self._switch(name, setup, "reload", who)

    def _switch(
        self, camera: str, setup: CameraSetup, action: str, who: str, path: Path | None = None
    ) -> None:
        """Record a change, save it for a restart, and let the loop switch to it."""
        loop = self._loop(camera)
        before, after = loop.setup.active_setup, setup.active_setup
        self._journal.add_audit(who, camera, action, before.to_document(), after.to_document())
        save_override(self._journal, camera, setup, self._file_setups[camera], path)
        loop.switch(setup)
        self._recorder.record(
            new_event(
                self._recorder.station,
                "recipe",
                f"{action}-changed",
                f"{who} changed the setup of {camera}: {_difference(before, after)}.",
                camera=camera,
                details={"who": who, "alarm": after.levels.alarm, "warn": after.levels.warn},
            )
        )

    def _loop(self, camera: str) -> CameraLoop:
        if camera not in self._loops:
            raise SemedgeError(
                f"There is no camera {camera!r}; this station has {', '.join(self._loops)}."
            )
        return self._loops[camera]


def _difference(before: ActiveSetup, after: ActiveSetup) -> str:
    """The changes from one setup to the other, for people."""
    old, new = before.to_document(), after.to_document()
    changes = [
        f"{name} {_short(old[name])} -> {_short(new[name])}"
        for name in old
        if old[name] != new[name]
    ]
    return ", ".join(changes) or "nothing"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)[:12]
