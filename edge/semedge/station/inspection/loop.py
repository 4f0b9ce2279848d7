"""The loop of one camera: frame, scores, judgement, record."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace

from semedge.cameras import Camera
from semedge.core.backoff import Backoff
from semedge.core.errors import SemedgeError
from semedge.core.event import Level
from semedge.core.frame import Frame
from semedge.decision.defect import Decision
from semedge.journal.records import Counters, Run
from semedge.journal.score_log import ScoreLog
from semedge.state.snapshot import InForce, Inspected
from semedge.station.camera_setup import Line, Setup
from semedge.station.inspection.defect_events import DefectTeller
from semedge.station.inspection.frame_source import SHORTEST_RETRY_S, Intake
from semedge.station.inspection.health_events import HealthTeller
from semedge.station.inspection.limits import Limits
from semedge.station.inspection.trust import UNARMED, DriftTeller
from semedge.station.recorder import Happening, Recorder, one_message

logger = logging.getLogger(__name__)

LONGEST_RETRY_S = 30.0


class Inspection:
    """Takes a camera's frames, scores them, and tells of defects.

    Parameters
    ----------
    line
        The camera and its setup.
    recorder
        Takes what is told.
    scores
        Takes the score of every frame.
    limits
        When to end.
    keep_trying
        Whether a camera that fails is opened again, with growing pauses, or ends the inspection.
    """

    def __init__(
        self,
        line: Line,
        recorder: Recorder,
        scores: ScoreLog,
        limits: Limits,
        *,
        keep_trying: bool = False,
    ) -> None:
        self.name = line.name
        self._recorder = recorder
        self._scores = scores
        self._state = recorder.state
        self._limits = limits
        self._keep_trying = keep_trying
        self._lock = threading.Lock()
        self._setup = line.setup
        self._given_detector = line.setup.detector
        self._next: Setup | None = None
        self._decision = Decision(line.setup.levels, line.setup.decision)
        self._teller = DefectTeller(recorder, self.name)
        self._health = HealthTeller(recorder, self.name)
        self._failure = Happening(recorder, "health", "camera-failed", self.name)
        self._intake = Intake(limits.stop_after_stalled_s, self._silent)
        self._is_unfit = False
        self._inspected = self._unfit = self._warned = self._alarmed = 0
        self._shapes_warned: set[tuple[int, int]] = set()
        self.armed_for: InForce | None = None
        self._in_force = line.setup.in_force
        self._drift = DriftTeller(recorder, self.name, limits.drift)
        self._drift.take(line.setup)
        self._run = self._start_run()
        self._state.change(self.name, in_force=line.setup.in_force)

    @property
    def setup(self) -> Setup:
        """What frames are judged by, or will be from the next one on."""
        with self._lock:
            return self._next or self._setup

    @property
    def turn_s(self) -> float:
        """How long the loop has been at the turn at hand: it waits, scores, or hangs."""
        return self._intake.turn_s

    @property
    def failed(self) -> bool:
        """Whether the camera fails and is tried again."""
        return self._failure.goes_on

    def run(self) -> None:
        """Inspect until the camera ends, a limit is reached, or `stop` is called.

        Raises `SemedgeError` where the camera cannot be used or a frame cannot be scored, unless
        the inspection keeps trying.
        """
        backoff = Backoff(SHORTEST_RETRY_S, LONGEST_RETRY_S)
        while not self._is_over():
            self._intake.turn()
            inspected_before = self._inspected
            try:
                if self._inspect_camera():
                    break
            except SemedgeError as error:
                if not self._keep_trying:
                    raise
                if self._inspected > inspected_before:
                    backoff.reset()
                self._not_inspecting(str(error))
                self._failure.start(str(error))
                self._intake.wait(backoff.next_s())

    def finish(self) -> None:
        """End what goes on, and close a detector that was switched to; after `run`."""
        self._end_defect(" because the watch ended")
        self._health.close("The watch ended")
        if self._setup.detector is not self._given_detector:
            self._setup.detector.close()
        self._state.change(self.name, activity="stopped", reason="the watch ended")
        # What ended the watch matters more than the counters, which may fail for its sake.
        with contextlib.suppress(SemedgeError):
            self.count(ended=True)

    def count(self, *, ended: bool = False) -> None:
        """Store the counters."""
        self._recorder.journal.count(self._run, self.counters(), ended=ended)

    def stop(self) -> None:
        """Finish the frame at hand and end `run`; callable from any thread."""
        self._intake.stop()

    def switch(self, setup: Setup) -> None:
        """Judge by another setup from the next frame on; callable from any thread.

        Where its camera is another one, the camera at hand is closed first.
        """
        with self._lock:
            dropped, self._next = self._next, setup
            in_use = (setup.detector, self._setup.detector)
            if dropped is not None and dropped.detector not in in_use:
                dropped.detector.close()
            reopen = setup.camera != self._setup.camera
        if reopen:
            self._intake.close()

    def counters(self) -> Counters:
        """Frames and alerts so far."""
        skipped, lost = self._unfit + self._intake.skipped, self._intake.lost
        return Counters(
            frames_seen=self._inspected + skipped + lost,
            frames_inspected=self._inspected,
            frames_skipped=skipped,
            frames_lost=lost,
            alerts=self._teller.alerts,
            frames_warned=self._warned,
            frames_alarmed=self._alarmed,
        )

    def _inspect_camera(self) -> bool:
        """Inspect what the camera gives; whether that was all, rather than a switch of cameras."""
        with self._intake.taking(self._open_camera()) as camera:
            self._state.change(self.name, source=camera.source)
            self._say_start(camera)
            self._health.begin(self._setup, live=camera.live)
            try:
                while not self._is_over() and (frame := self._intake.frame()) is not None:
                    if self._take_setup(camera_stays=True):
                        self._health.begin(self._setup, live=camera.live)
                    if self._is_fit(frame):
                        self._inspect(frame)
            finally:
                self._health.close("The camera was closed")
        with self._lock:
            return self._next is None or self._next.camera == self._setup.camera

    def _open_camera(self) -> Camera:
        """The camera of the setup to go over to, or of the one at hand where that one fails."""
        with self._lock:
            waiting = self._next
        if waiting is not None and waiting.camera != self._setup.camera:
            try:
                camera = waiting.camera.open()
            except SemedgeError as error:
                self._refuse(waiting, error)
            else:
                self._take_setup()
                return camera
        self._take_setup()
        return self._setup.camera.open()

    def _refuse(self, waiting: Setup, error: SemedgeError) -> None:
        """Stay with the setup at hand, because the camera of the waiting one cannot be used."""
        with self._lock:
            if self._next is waiting:
                self._next = None
        if waiting.detector is not self._setup.detector:
            waiting.detector.close()
        message = f"{self.name} stays with what it was judged by before: {error}"
        logger.warning(message, extra={"event": "recipe-refused"})
        self._recorder.tell(
            one_message(self._recorder.station, "recipe", "refused", message, camera=self.name)
        )

    def _say_start(self, camera: Camera) -> None:
        levels = self._setup.levels
        warning = "" if levels.warn is None else f", a warning is one above {levels.warn:.4g}"
        logger.info(
            f"Watching {camera.source}; an alarm is a score above {levels.alarm:.4g}{warning}. "
            f"{self._setup.calibration.guarantee}",
            extra={"event": "watching"},
        )

    def _is_fit(self, frame: Frame) -> bool:
        """Whether the frame's picture can be inspected; a person is told where it begins not to."""
        reason = self._health.observe(frame)
        if not reason:
            if self._is_unfit:
                logger.info("Inspecting again.", extra={"event": "inspecting-again"})
            self._is_unfit = False
            return True
        self._unfit += 1
        self._not_inspecting(reason, say_it=not self._is_unfit)
        self._is_unfit = True
        return False

    def _inspect(self, frame: Frame) -> None:
        arrived_s = time.perf_counter()
        setup = self._setup
        self._warn_of_shape(frame)
        score_map = setup.detector.score(frame)
        scored_s = time.perf_counter()
        at_s = time.monotonic()
        judgement = self._decision.judge(score_map.frame_score, at_s)
        unarmed = self._limits.require_check and self.armed_for != self._in_force
        if unarmed:
            judgement = replace(judgement, phases=())
        self._drift.add(score_map.frame_score, judgement.level == "alarm")
        self._warned += judgement.level == "warn"
        self._alarmed += judgement.level == "alarm"
        self._teller.tell(judgement, frame, score_map, setup, self._run, at_s)
        self._keep_score(frame, score_map.frame_score, judgement.level)
        self._inspected += 1
        ended_s = time.perf_counter()
        latency_ms = {
            **score_map.stage_ms,
            "record": (ended_s - scored_s) * 1e3,
            "total": (ended_s - arrived_s) * 1e3,
        }
        self._failure.end("The camera gives frames again.")
        if unarmed:
            self._end_defect(f" because {UNARMED}")
            self._not_inspecting(f"{UNARMED}.", say_it=self._inspected == 1)
        else:
            self._state.change(self.name, activity="inspecting", reason="")
        last = Inspected(frame, score_map, judgement.level, latency_ms)
        self._state.inspected(self.name, last, self.counters())

    def _keep_score(self, frame: Frame, score: float, level: Level | None) -> None:
        if not self._recorder.scores_stopped:
            self._scores.add(self._run, frame, score, level)

    def _take_setup(self, *, camera_stays: bool = False) -> bool:
        """Go over to the setup that `switch` left; whether there was one to go over to.

        Where the camera stays, only to one with this camera.
        """
        with self._lock:
            before, setup = self._setup, self._next
            if setup is None or (camera_stays and setup.camera != before.camera):
                return False
            self._setup, self._next = setup, None
        if before.detector is setup.detector and before.decision == setup.decision:
            self._decision.levels = setup.levels
        else:
            self._end_defect(" because what it is judged by has changed", before)
            self._decision = Decision(setup.levels, setup.decision)
        if before.detector is not setup.detector:
            before.detector.close()
        self._in_force = setup.in_force
        self._drift.take(setup)
        self._state.change(self.name, in_force=setup.in_force)
        if before.in_force != setup.in_force:
            # A journal that takes nothing now counts on for the run before.
            with contextlib.suppress(SemedgeError):
                self.count(ended=True)
                self._run = self._start_run()
        return True

    def _start_run(self) -> Run:
        in_force = self._setup.in_force
        return self._recorder.journal.start_run(
            self.name,
            self._setup.camera.shown,
            in_force.detector_sha256,
            in_force.levels.alarm,
            calibration_sha256=in_force.calibration_sha256,
            recipe_sha256=in_force.recipe_sha256,
        )

    def _is_over(self) -> bool:
        limit = self._limits.max_frames
        return self._intake.stopped or (limit is not None and self._inspected >= limit)

    def _silent(self, reason: str, say_it: bool) -> None:
        self._health.silent(reason)
        self._not_inspecting(reason, say_it=say_it)

    def _not_inspecting(self, reason: str, *, say_it: bool = True) -> None:
        self._state.change(self.name, activity="not inspecting", reason=reason)
        if say_it:
            logger.info(f"Not inspecting: {reason}", extra={"event": "not-inspecting"})

    def _warn_of_shape(self, frame: Frame) -> None:
        """Say once for each size that the promise was made for frames of another one."""
        calibrated = self._setup.calibration.grid.frame_shape
        if frame.shape == calibrated or frame.shape in self._shapes_warned:
            return
        self._shapes_warned.add(frame.shape)
        (height, width), (made_height, made_width) = frame.shape, calibrated
        logger.warning(
            f"frames have {width}x{height} px, and the calibration's promise counts areas "
            f"of {made_width}x{made_height} px; a frame is "
            f"{height * width / (made_height * made_width):.3g} of them, and its rate of false "
            "alarms differs accordingly.",
            extra={"event": "frame-size"},
        )

    def _end_defect(self, reason: str, setup: Setup | None = None) -> None:
        defect = self._decision.end()
        if defect is not None and self._teller.goes_on:
            self._teller.end(defect, setup or self._setup, self._run, reason)
