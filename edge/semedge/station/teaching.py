"""Teaching a running station: collect frames, look through them, learn, try, and save a recipe."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semedge.cameras import CameraSettings
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import read_picture
from semedge.core.timing import utc_text
from semedge.decision.defect import DecisionSettings
from semedge.inference.overlay import view_8_bit
from semedge.journal.journal import Journal
from semedge.learning.frame_store import FrameStore
from semedge.state.snapshot import camera_label
from semedge.state.state import StationState
from semedge.station.camera_setup import CameraSetup
from semedge.station.lesson_collecting import collect_lesson, numbers_of
from semedge.station.lesson_files import LessonFacts, LessonFiles, file_of
from semedge.station.lesson_learning import learn_again_files, learn_lesson_files, score_sample
from semedge.station.lesson_recipe import (
    PERSON,
    check_free_name,
    following_recipe,
    save_recipe,
)
from semedge.station.lesson_worker import LessonWorker
from semedge.station.teaching_requests import (
    AgainRequest,
    CollectRequest,
    ContinueRequest,
    LearnRequest,
    ThrowOutRequest,
    parse_teaching_request,
)

LEAST_FRAMES = 2


class Teacher(Protocol):
    """What teaching needs of the control of a station."""

    @property
    def recipes_folder(self) -> Path | None:
        """The station's folder of recipes; None where it has none."""

    @property
    def station_file(self) -> Path | None:
        """The station file; None where there is none."""

    def recipe_settings(self, camera: str) -> tuple[DecisionSettings, CameraSettings]:
        """Decision and camera settings of a recipe that is to follow the active setup."""


class TaughtCamera(Protocol):
    """What teaching needs of a camera's loop."""

    name: str

    @property
    def newest_frame(self) -> Frame | None:
        """The last frame that the camera gave; None before the first."""

    @property
    def setup(self) -> CameraSetup:
        """The setup that its frames are judged by."""


class StationTeaching:
    """One lesson at a time, beside the inspection, which goes on with the active recipe.

    Parameters
    ----------
    cameras
        The cameras' loops.
    state
        The state of the station.
    control
        The control of the station.
    journal
        Has the audit trail.
    folder
        The folder of the lesson's files, which may have a lesson from before a restart.
    """

    def __init__(
        self,
        cameras: Sequence[TaughtCamera],
        state: StationState,
        control: Teacher,
        journal: Journal,
        folder: Path,
    ) -> None:
        self._cameras = {camera.name: camera for camera in cameras}
        self._state = state
        self._control = control
        self._journal = journal
        self._files = LessonFiles(folder)
        self._lock = threading.RLock()
        self._trying = threading.Lock()
        self._closing = threading.Event()
        self._worker = LessonWorker()
        self._facts = self._files.facts()
        self._result = self._files.result()
        self._numbers = self._stored_numbers()

    def close(self) -> None:
        """End what goes on, and keep the frames."""
        self._closing.set()
        self._worker.close()

    def document(self) -> dict[str, Any]:
        """The lesson as it stands."""
        with self._lock:
            unavailable, worker = self._unavailable(), self._worker
            waiting = "idle" if self._facts is None else "learned" if self._result else "collected"
            return {
                "available": not unavailable,
                "reason": unavailable,
                "phase": worker.activity or waiting,
                "lesson": None if self._facts is None else vars(self._facts),
                "frames": list(self._numbers),
                "busy_s": worker.busy_s,
                "progress": worker.progress,
                "problem": worker.problem,
                "weaker_offered": worker.was_refused,
                "result": self._result,
                "learns_again": self._control.station_file is not None,
            }

    def handle(self, document: Any, who: str) -> str:
        """Carry out the request in a JSON document; a sentence about the result."""
        request = parse_teaching_request(document)
        with self._lock:
            if unavailable := self._unavailable():
                raise SemedgeError(unavailable)
            if isinstance(request, CollectRequest):
                return self._begin(request, who)
            if isinstance(request, AgainRequest):
                return self._again(request, who)
            facts = self._lesson_of(who, request.action == "discard")
            if isinstance(request, ThrowOutRequest):
                return self._throw_out(facts, request)
            if request.action == "stop":
                return self._stop()
            if self._worker.activity:
                raise SemedgeError(f"The station is still {self._worker.activity}; stop it first.")
            if isinstance(request, ContinueRequest):
                return self._continue(facts, request, who)
            if isinstance(request, LearnRequest):
                return self._learn(facts, request, who)
            return self._save(facts, who) if request.action == "save" else self._discard(facts, who)

    def image(self, number: int) -> NDArray[np.uint8] | None:
        """A collected frame with 8 bits, gray or in colour, by its number; None for none."""
        with self._lock:
            if number not in self._numbers:
                return None
        try:
            return view_8_bit(read_picture(self._files.frames / file_of(number)).picture)
        except SemedgeError:
            return None

    def sheet(self) -> bytes | None:
        """PNG of the frames that set the threshold; None where nothing was learned."""
        try:
            return self._files.sheet.read_bytes()
        except OSError:
            return None

    def try_sample(self, content: bytes, name: str) -> dict[str, Any]:
        """The score of an image file by what was learned, and whether it alarms."""
        if self._result is None:
            raise SemedgeError("Nothing was learned yet; learn first, then try it on samples.")
        with self._trying:
            return score_sample(self._files, content, name, self._closing)

    def _unavailable(self) -> str:
        folder = self._control.recipes_folder
        if folder is None:
            return (
                "The station file names no folder of recipes; set station.recipes, where what is "
                "learned can be saved."
            )
        return "" if folder.is_dir() else f"The folder of recipes {folder} is missing; make it."

    def _lesson_of(self, who: str, discards: bool) -> LessonFacts:
        """The lesson, which only the person who began it may change, and others may end."""
        facts = self._facts
        if facts is None:
            raise SemedgeError("Nothing is taught; begin by collecting frames.")
        if facts.who != who and not discards:
            raise SemedgeError(_taken(facts))
        return facts

    def _begin(self, request: CollectRequest, who: str) -> str:
        if self._facts is not None:
            raise SemedgeError(_taken(self._facts))
        name = request.name.strip()
        check_free_name(name, self._folder())
        camera = self._camera(request.camera)
        source = self._cameras[camera].setup.camera.shown
        self._files.clear()
        facts = LessonFacts(
            name, camera, source, who, request.frames, request.every_s, utc_text(time.time())
        )
        self._audit(who, facts, "teach-collect")
        self._keep(facts)
        self._worker.start("collecting", lambda: self._collect(facts))
        return (
            f"Collecting {request.frames} frames of {camera_label(camera)} for {name}; the "
            "inspection goes on."
        )

    def _again(self, request: AgainRequest, who: str) -> str:
        if self._facts is not None:
            raise SemedgeError(_taken(self._facts))
        station = self._control.station_file
        if station is None:
            raise SemedgeError(
                "This watch has no station file to learn again from; start it with --station."
            )
        camera = self._camera(request.camera)
        setup = self._cameras[camera].setup
        name, version = following_recipe(camera, setup)
        check_free_name(name, self._folder())
        pace_hz = self._state.snapshot().cameras[camera].frame_rate_hz or 1.0
        self._files.clear()
        facts = LessonFacts(
            *(name, camera, setup.camera.shown, who, 0, 0.0, utc_text(time.time())),
            pace_hz=pace_hz,
            version=version,
            again=True,
        )
        self._audit(who, facts, "teach-again")
        self._keep(facts)

        self._learning(partial(learn_again_files, self._files, facts, station))
        return f"Learning {name} from what was marked; the inspection goes on."

    def _camera(self, name: str | None) -> str:
        if name is None and len(self._cameras) == 1:
            return next(iter(self._cameras))
        if name not in self._cameras:
            raise SemedgeError(
                f"There is no camera {name!r}; the station has {', '.join(self._cameras)}."
            )
        return name

    def _continue(self, facts: LessonFacts, request: ContinueRequest, who: str) -> str:
        if facts.again:
            raise SemedgeError("A lesson from marks collects no frames; end it, and begin anew.")
        if request.frames <= len(self._numbers):
            raise SemedgeError(
                f"There are {len(self._numbers)} frames already; ask for more than that."
            )
        facts = replace(facts, wanted=request.frames)
        self._audit(who, facts, "teach-collect")
        self._forget_result()
        self._keep(facts)
        self._worker.start("collecting", lambda: self._collect(facts))
        return f"Collecting up to {request.frames} frames."

    def _throw_out(self, facts: LessonFacts, request: ThrowOutRequest) -> str:
        if self._worker.activity == "learning":
            raise SemedgeError("The station is learning; stop it first, then throw frames out.")
        given = set(request.frames)
        if unknown := given - set(self._numbers):
            raise SemedgeError(f"There is no frame {min(unknown)} in this lesson.")
        out = set(facts.thrown_out) - given if request.back else set(facts.thrown_out) | given
        self._forget_result()
        self._keep(replace(facts, thrown_out=tuple(sorted(out))))
        return f"{len(out)} of {len(self._numbers)} frames are thrown out."

    def _stop(self) -> str:
        activity = self._worker.activity
        if not activity:
            raise SemedgeError("The station neither collects nor learns; there is nothing to stop.")
        self._worker.over.set()
        return f"The station stops {activity}; the frames are kept."

    def _discard(self, facts: LessonFacts, who: str) -> str:
        self._audit(who, facts, "teach-discard")
        self._files.clear()
        self._worker.forget()
        self._facts = self._result = None
        self._numbers = []
        return f"The lesson {facts.name} and its frames are deleted; the inspection goes on."

    def _learn(self, facts: LessonFacts, request: LearnRequest, who: str) -> str:
        thrown_out = set(facts.thrown_out)
        chosen = [file_of(number) for number in self._numbers if number not in thrown_out]
        if len(chosen) < LEAST_FRAMES:
            raise SemedgeError(f"{len(chosen)} frames are too few to learn from; collect more.")
        check_free_name(facts.name, self._folder())
        self._audit(who, facts, "teach-learn")
        self._forget_result()
        self._files.select(chosen)

        self._learning(partial(learn_lesson_files, self._files, facts, request))
        return f"Learning {facts.name} from {len(chosen)} frames; the inspection goes on."

    def _learning(
        self, learn: Callable[[threading.Event, Callable[[str], None]], dict[str, Any]]
    ) -> None:
        """Start the worker, and keep what it learned."""

        def run() -> None:
            result = learn(self._worker.over, self._worker.show)
            with self._lock:
                self._result = result

        self._worker.start("learning", run)

    def _save(self, facts: LessonFacts, who: str) -> str:
        if self._result is None:
            raise SemedgeError("Nothing was learned yet; learn first, then save the recipe.")
        decision, settings = self._control.recipe_settings(facts.camera)
        save_recipe(self._files, facts, self._folder(), decision, settings)
        self._audit(who, facts, "teach-save")
        return f"The recipe {facts.name} is saved."

    def _folder(self) -> Path:
        folder = self._control.recipes_folder
        assert folder is not None  # `handle` has looked
        return folder

    def _collect(self, facts: LessonFacts) -> None:
        """Collect frames until there are as many as wanted; in the worker's thread."""
        camera = self._cameras[facts.camera]
        over = self._worker.over
        try:
            collect_lesson(self._files, facts, lambda: camera.newest_frame, over, self._note)
        finally:
            pace_hz = self._state.snapshot().cameras[facts.camera].frame_rate_hz
            with self._lock:
                if self._facts is not None:
                    self._keep(replace(self._facts, pace_hz=pace_hz or self._facts.pace_hz))

    def _note(self, numbers: list[int], left_out: dict[str, int]) -> None:
        """Show what was collected and left out so far."""
        with self._lock:
            self._numbers = numbers
            if self._facts is not None:
                self._facts = replace(self._facts, left_out=left_out)

    def _keep(self, facts: LessonFacts) -> None:
        self._files.write_facts(facts)
        self._facts = facts

    def _forget_result(self) -> None:
        self._files.clear_result()
        self._result = None
        if not self._worker.activity:
            self._worker.forget()

    def _stored_numbers(self) -> list[int]:
        if self._facts is None:
            return []
        with contextlib.suppress(SemedgeError):
            store = FrameStore(self._files.frames, self._facts.source)
            return numbers_of(store)
        return []

    def _audit(self, who: str, facts: LessonFacts, action: str) -> None:
        document = {"name": facts.name, "frames": len(self._numbers), "wanted": facts.wanted}
        self._journal.add_audit(who, facts.camera, action, None, document)


def _taken(facts: LessonFacts) -> str:
    return (
        f"{facts.who.removeprefix(PERSON)} teaches {facts.name} here since "
        f"{facts.started_at[:16]} UTC, and only one lesson is possible at a time; ask them, or "
        "discard it."
    )
