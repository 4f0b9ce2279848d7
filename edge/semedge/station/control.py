"""`Control` of a running watch: applies changes, saves, records and reports them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from semedge.cameras import CameraSettings
from semedge.cameras.settings import AS_IT_IS
from semedge.core.errors import SemedgeError
from semedge.core.parts import reason_of
from semedge.core.view import WHOLE, Rectangle, ViewSettings, rectangles_label
from semedge.decision.defect import DecisionSettings, Levels
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.state.recent_frames import RecentFrames
from semedge.state.requests import MarkRequest
from semedge.state.snapshot import ActiveSetup, camera_label
from semedge.station.camera_plan import CameraPlan
from semedge.station.camera_setup import CameraSetup, SourceChoice, view_of
from semedge.station.inspection.loop import CameraLoop
from semedge.station.load import load_cameras, load_recipe
from semedge.station.marking import Marker
from semedge.station.overrides import (
    SETTING,
    apply_override,
    clear_attempts,
    count_attempt,
    fingerprint,
    save_override,
)
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
    file
        The station file; None where there is none.
    """

    cameras: Mapping[str, CameraPlan] = field(default_factory=dict)
    recipes: Path | None = None
    reload: Callable[[], StationPlan] | None = None
    file: Path | None = None


@dataclass(frozen=True)
class _Trial:
    """A setup that was switched to and is not saved yet, and its recipe."""

    setup: CameraSetup
    path: Path | None


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
    marked
        Keeps the frames that are marked.
    recent
        The last frames, which can be marked.
    """

    def __init__(
        self,
        loops: Sequence[CameraLoop],
        recorder: EventRecorder,
        journal: Journal,
        plan: StationPlan,
        marked: MarkedFrames,
        recent: RecentFrames,
    ) -> None:
        self._loops = {each.name: each for each in loops}
        self._recorder = recorder
        self._journal = journal
        self._plan = plan
        self._lock = threading.Lock()
        self._recipes_unreadable = False
        self._file_setups = {name: fingerprint(each.setup) for name, each in self._loops.items()}
        self._trials: dict[str, _Trial] = {}
        self._marker = Marker(journal, marked, recent, self._view_of)
        for name, loop in self._loops.items():
            loop.on_settled(partial(self._settle, name))

    def restore(self) -> None:
        """Apply the overrides from before a restart; called before the loops run."""
        for name, loop in self._loops.items():
            before = loop.setup
            choice = self._plan.cameras.get(name)
            try:
                count_attempt(self._journal, name)
                overridden = apply_override(self._journal, choice, name, before)
            except Exception as error:
                message = f"The override of {name} is not applied: {reason_of(error)}"
                logger.warning(message, extra={"event": "not-restored"})
                self._recorder.record(
                    new_event(
                        self._recorder.station, "recipe", "not-restored", message, camera=name
                    )
                )
                continue
            if overridden is not before:
                logger.info(
                    f"The overrides of {name} from before the restart are active: "
                    f"{_difference(before.active_setup, overridden.active_setup)}.",
                    extra={"event": "restored"},
                )
                loop.restore(overridden)
            if overridden.detector is before.detector:
                clear_attempts(self._journal, name)

    def set_levels(self, camera: str, levels: Levels, who: str) -> None:
        """Judge the camera's frames by these levels from the next one on, across restarts."""
        with self._lock:
            setup = self._loop(camera).setup
            self._switch(camera, replace(setup, levels=levels), "levels", who)

    def set_regions(self, camera: str, rectangles: tuple[Rectangle, ...], who: str) -> float | None:
        """Leave these rectangles out of the camera's frames from the next one on.

        They stay across restarts, until the station file or a recipe names others. Returns the
        share of the last frame that is inspected then; None before the first.
        """
        with self._lock:
            loop = self._loop(camera)
            setup = loop.setup
            if not isinstance(setup.camera, SourceChoice):
                raise SemedgeError(
                    f"The camera {camera} has no source, so nothing can be left out of its frames; "
                    "name its source in the station file."
                )
            changed = replace(setup, camera=setup.camera.leaving_out(rectangles))
            share = loop.share_inspected(changed)
            self._switch(camera, changed, "regions", who)
            return share

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
            setup = load_recipe(choice, path, self._loop(camera).last_image)
            if isinstance(setup.camera, SourceChoice):
                drawn = setup.camera.drawn_like(self._loop(camera).setup.camera)
                setup = replace(setup, camera=drawn)
            try:
                self._loop(camera).try_out(setup)
                self._switch(camera, setup, "recipe", who, path)
            except BaseException:
                setup.detector.close()
                raise

    def recipe_settings(self, camera: str) -> tuple[DecisionSettings, CameraSettings]:
        """Decision and camera settings of a recipe that is to follow the active setup.

        The decision has no levels of its own. Camera settings that are those of the station are
        left out, so that they follow the station's; regions that were drawn are not.
        """
        setup = self._loop(camera).setup
        decision = setup.decision.model_copy(update={"alarm": None, "warn": None})
        planned = self._plan.cameras.get(camera)
        if planned is None or not isinstance(setup.camera, SourceChoice):
            return decision, AS_IT_IS
        settings = setup.camera.undrawn.settings
        if settings == planned.camera.settings:
            settings = AS_IT_IS
        if setup.camera.undrawn_px is not None:
            drawn_px = setup.camera.settings.leave_out_px
            settings = settings.model_copy(update={"leave_out_px": drawn_px})
        return decision, settings

    @property
    def station_file(self) -> Path | None:
        """The station file; None where there is none."""
        return self._plan.file

    @property
    def recipes_folder(self) -> Path | None:
        """The station's folder of recipes; None where it has none."""
        return self._plan.recipes

    def recipes(self) -> list[Path]:
        """Recipe files in the station's folder of recipes, by name."""
        if self._plan.recipes is None:
            return []
        try:
            found = recipes_in(self._plan.recipes)
        except OSError as error:
            if not self._recipes_unreadable:
                logger.warning(
                    f"The folder of recipes {self._plan.recipes} cannot be read "
                    f"({error.strerror}); no recipe can be switched to until it can.",
                    extra={"event": "recipes-unreadable"},
                )
            self._recipes_unreadable = True
            return []
        self._recipes_unreadable = False
        return found

    def acknowledge(self, event_id: str, who: str) -> None:
        """Record that somebody has seen the event."""
        self._journal.acknowledge(event_id, who)

    def mark(self, request: MarkRequest, who: str) -> str:
        """Mark an alert or a frame, and keep the frame; a sentence about the result."""
        return self._marker.mark(request, who)

    def audit_refusal(self, who: str) -> None:
        """Record a request that was refused for its wrong token."""
        audit_refusal(self._journal, who)

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
                    self._loop(name).try_out(setup)
                    self._file_setups[name] = fingerprint(setup)
                    self._switch(name, setup, "reload", who)

    def _switch(
        self, camera: str, setup: CameraSetup, action: str, who: str, path: Path | None = None
    ) -> None:
        """Record a change, let the loop switch to it, and save it for a restart.

        A setup with another detector or camera is saved after its trial.
        """
        loop = self._loop(camera)
        before, after = loop.setup.active_setup, setup.active_setup
        self._journal.add_audit(who, camera, action, _audited(before), _audited(after))
        trial = self._trials.get(camera)
        if trial is not None and setup.detector is trial.setup.detector:
            self._trials[camera] = replace(trial, setup=setup)
        elif setup.detector is not loop.setup.detector or setup.camera != loop.setup.camera:
            self._trials[camera] = _Trial(setup, path)
        else:
            save_override(self._journal, camera, setup, self._file_setups[camera], path)
        loop.switch(setup)
        self._recorder.record(
            new_event(
                self._recorder.station,
                "recipe",
                f"{action}-changed",
                f"{who} changed the setup of {camera_label(camera)}: {_difference(before, after)}.",
                camera=camera,
                details={"who": who, "alarm": after.levels.alarm, "warn": after.levels.warn},
            )
        )

    def _settle(self, camera: str, setup: CameraSetup, fault: str) -> None:
        """Save a setup whose trial has ended well, or forget it; called by the camera's loop."""
        # Without the lock, since `reload` has it while it scores, and the loop must not wait.
        trial = self._trials.get(camera)
        try:
            clear_attempts(self._journal, camera)
            if trial is None or trial.setup.detector is not setup.detector:
                if fault and trial is None:
                    self._journal.save_setting(camera, SETTING, None)
                return
            self._trials.pop(camera, None)
            if not fault:
                save_override(
                    self._journal, camera, trial.setup, self._file_setups[camera], trial.path
                )
        except SemedgeError as error:
            logger.warning(
                f"The setup of {camera} was not saved, so the next start uses the one before: "
                f"{error}",
                extra={"event": "not-saved"},
            )

    def _view_of(self, camera: str) -> ViewSettings:
        loop = self._loops.get(camera)
        return WHOLE if loop is None else view_of(loop.setup.camera)

    def _loop(self, camera: str) -> CameraLoop:
        if camera not in self._loops:
            raise SemedgeError(
                f"There is no camera {camera!r}; this station has {', '.join(self._loops)}."
            )
        return self._loops[camera]


def audit_refusal(journal: Journal, who: str) -> None:
    """Record in a journal that a request was refused for its wrong token."""
    # Where the journal cannot be written, which is reported, the log has the refusal alone.
    with contextlib.suppress(SemedgeError):
        journal.add_audit(who, "", "token-refused", None, None)


def _audited(setup: ActiveSetup) -> dict[str, Any]:
    """A setup in the audit trail, with what was left out by it."""
    return setup.to_document() | {"leave_out_px": [list(each) for each in setup.leave_out_px]}


def _difference(before: ActiveSetup, after: ActiveSetup) -> str:
    """The changes from one setup to the other, for people."""
    changes = []
    if _files(before) != _files(after):
        old, new = _named(before), _named(after)
        changes.append(f"{old} -> {new}" if old != new else f"another file of {new}")
    for name in ("alarm", "warn"):
        was, now = getattr(before.levels, name), getattr(after.levels, name)
        if was != now:
            changes.append(f"{name} level {_short(was)} -> {_short(now)}")
    if before.leave_out_px != after.leave_out_px:
        left_out, leaves_out = map(rectangles_label, (before.leave_out_px, after.leave_out_px))
        changes.append(f"left out: {left_out} -> {leaves_out}")
    return ", ".join(changes) or "nothing"


def _files(setup: ActiveSetup) -> tuple[str | None, ...]:
    return setup.recipe_sha256, setup.detector_sha256, setup.calibration_sha256


def _named(setup: ActiveSetup) -> str:
    """What frames are judged by, by the name that people gave it."""
    if setup.recipe is None:
        return f"the station file's detector ({setup.detector or setup.detector_sha256[:12]})"
    return f"recipe {setup.recipe} version {setup.recipe_version}"


def _short(level: float | None) -> str:
    return "none" if level is None else f"{level:.4g}"
