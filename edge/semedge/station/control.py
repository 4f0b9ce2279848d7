"""`Control` of a running watch: what is changed, kept, audited and told."""

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
from semedge.station.camera_setup import Setup
from semedge.station.inspection.loop import Inspection
from semedge.station.load import LineChoice, load_lines
from semedge.station.overrides import asked_for, keep, take_up
from semedge.station.recipe import recipes_in
from semedge.station.recorder import EventRecorder, new_event

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What the station file and the command line ask for.

    Attributes
    ----------
    choices
        The cameras, by name.
    recipes
        Folder of the recipes that can be switched to; None for none.
    again
        Reads them again.
    """

    choices: Mapping[str, LineChoice] = field(default_factory=dict)
    recipes: Path | None = None
    again: Callable[[], Plan] | None = None


class StationControl:
    """`Control` of the inspections of one watch.

    What is set here is kept in the journal, and holds after a restart until the station file asks
    for something else than it did when it was set.

    Parameters
    ----------
    inspections
        By camera.
    recorder
        Takes the events.
    journal
        Takes overrides, the audit trail and acknowledgements.
    plan
        What the station file asks for.
    """

    def __init__(
        self,
        inspections: Sequence[Inspection],
        recorder: EventRecorder,
        journal: Journal,
        plan: Plan,
    ) -> None:
        self._inspections = {each.name: each for each in inspections}
        self._recorder = recorder
        self._journal = journal
        self._plan = plan
        self._lock = threading.Lock()
        self._asked = {name: asked_for(each.setup) for name, each in self._inspections.items()}

    def restore(self) -> None:
        """Go over to what was set before a restart; called before the inspections run."""
        for name, inspection in self._inspections.items():
            before = inspection.setup
            try:
                taken = take_up(self._journal, self._plan.choices.get(name), name, before)
            except SemedgeError as error:
                logger.warning(
                    f"What was set for {name} is not taken up again: {error}",
                    extra={"event": "not-restored"},
                )
                continue
            if taken is not before:
                logger.info(
                    f"As before the restart, {name} differs from the station file: "
                    f"{_difference(before.active_setup, taken.active_setup)}.",
                    extra={"event": "restored"},
                )
                inspection.switch(taken)

    def set_levels(self, camera: str, levels: Levels, who: str) -> None:
        """Judge the camera's frames by these levels from the next one on, across restarts."""
        with self._lock:
            setup = self._inspection(camera).setup
            self._go_over(camera, replace(setup, levels=levels), "levels", who)

    def switch_recipe(self, camera: str, path: Path, who: str) -> None:
        """Judge the camera's frames by a recipe from the next one on, without losing one."""
        with self._lock:
            self._inspection(camera)
            choice = self._plan.choices.get(camera)
            if choice is None:
                raise SemedgeError(
                    f"The camera {camera} was not given by a source, so that no recipe can be "
                    "switched to; name its source in the station file."
                )
            setup = choice.load_recipe(path)
            try:
                self._go_over(camera, setup, "recipe", who, path)
            except BaseException:
                setup.detector.close()
                raise

    def recipes(self) -> list[Path]:
        """Recipe files in the station's folder of recipes, by name."""
        return [] if self._plan.recipes is None else recipes_in(self._plan.recipes)

    def acknowledge(self, event_id: str, who: str) -> None:
        """Note that somebody has seen the event."""
        self._journal.acknowledge(event_id, who)

    def reload(self, who: str) -> None:
        """Read the station file again and change what it changes."""
        with self._lock:
            if self._plan.again is None:
                raise SemedgeError("This watch has no station file to read again.")
            plan = self._plan.again()
            if set(plan.choices) != set(self._inspections):
                raise SemedgeError(
                    f"The station file names the cameras {', '.join(plan.choices)}, and "
                    f"{', '.join(self._inspections)} are watched; restart to change that."
                )
            setups = {line.name: line.setup for line in load_lines(list(plan.choices.values()))}
            before, self._plan = self._plan, plan
            for name, setup in setups.items():
                same_camera = plan.choices[name].camera == before.choices[name].camera
                if same_camera and asked_for(setup) == self._asked[name]:
                    setup.detector.close()
                else:
                    self._asked[name] = asked_for(setup)
                    self._go_over(name, setup, "reload", who)

    def _go_over(
        self, camera: str, setup: Setup, action: str, who: str, path: Path | None = None
    ) -> None:
        """Record who changes what, keep it for a restart, and let the inspection take it."""
        inspection = self._inspection(camera)
        before, after = inspection.setup.active_setup, setup.active_setup
        self._journal.add_audit(who, camera, action, before.to_document(), after.to_document())
        keep(self._journal, camera, setup, self._asked[camera], path)
        inspection.switch(setup)
        self._recorder.record(
            new_event(
                self._recorder.station,
                "recipe",
                f"{action}-changed",
                f"{who} changed what {camera} is judged by: {_difference(before, after)}.",
                camera=camera,
                details={"who": who, "alarm": after.levels.alarm, "warn": after.levels.warn},
            )
        )

    def _inspection(self, camera: str) -> Inspection:
        if camera not in self._inspections:
            raise SemedgeError(
                f"There is no camera {camera!r}; this station has {', '.join(self._inspections)}."
            )
        return self._inspections[camera]


def _difference(before: ActiveSetup, after: ActiveSetup) -> str:
    """The changes between two, for people."""
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
