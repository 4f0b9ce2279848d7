"""The loop of one camera: it reads frames, and has them judged while they can be."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from semedge.cameras import Camera
from semedge.core.backoff import Backoff
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.journal.records import Counters
from semedge.station.camera_setup import CameraSetup, StationCamera
from semedge.station.inspection.frame_source import SHORTEST_RETRY_S, FrameSource
from semedge.station.inspection.health_events import HealthReporter
from semedge.station.inspection.judge import FrameJudge
from semedge.station.inspection.limits import LoopLimits
from semedge.station.inspection.outputs import LoopOutputs
from semedge.station.inspection.run_log import RunLog
from semedge.station.inspection.setup_switch import SetupSwitch
from semedge.station.qualification import UNQUALIFIED, Qualification
from semedge.station.recorder import OngoingEvent, new_event

logger = logging.getLogger(__name__)

LONGEST_RETRY_S = 30.0


class CameraLoop:
    """Reads a camera's frames, and has them scored, judged and recorded.

    Parameters
    ----------
    camera
        The camera, its name and its setup.
    outputs
        What the loop writes to.
    limits
        When the loop ends by itself.
    qualification
        Whether the camera is qualified, or need not be.
    keep_trying
        Whether a camera that fails is opened again, with growing pauses; if not, the loop ends.
    """

    def __init__(
        self,
        camera: StationCamera,
        outputs: LoopOutputs,
        limits: LoopLimits,
        qualification: Qualification,
        *,
        keep_trying: bool = False,
    ) -> None:
        self.name = camera.name
        self._outputs = outputs
        self._limits = limits
        self._qualification = qualification
        self._keep_trying = keep_trying
        self._setups = SetupSwitch(camera.setup)
        self._source = FrameSource(limits.stop_after_stalled_s, self._on_stall)
        self._health = HealthReporter(outputs.recorder, camera.name)
        self._failure = OngoingEvent(outputs.recorder, "health", "camera-failed", camera.name)
        self._judge = FrameJudge(camera.name, camera.setup, outputs)
        self._runs = RunLog(outputs.journal, camera.name)

    @property
    def setup(self) -> CameraSetup:
        """The setup that frames are judged by, or will be from the next one on."""
        return self._setups.newest

    @property
    def iteration_s(self) -> float:
        """Duration of the current iteration, which waits, scores or hangs."""
        return self._source.iteration_s

    def begin(self) -> None:
        """Begin a run in the journal, and show the setup; called once, before `run`."""
        setup = self._setups.current
        self._runs.begin(setup)
        self._outputs.state.change(self.name, active_setup=setup.active_setup)

    def run(self) -> None:
        """Inspect until the camera ends, a limit is reached, or `stop` is called.

        Raises `SemedgeError` where the camera cannot be used or a frame cannot be scored, unless
        the loop keeps trying.
        """
        backoff = Backoff(SHORTEST_RETRY_S, LONGEST_RETRY_S)
        while not self._is_over():
            self._source.begin_iteration()
            inspected_before = self._judge.frames_inspected
            try:
                if self._inspect_camera():
                    break
            except SemedgeError as error:
                if not self._keep_trying:
                    raise
                if self._judge.frames_inspected > inspected_before:
                    backoff.reset()
                self._not_inspecting(str(error))
                self._failure.start(str(error))
                self._source.wait(backoff.next_s())

    def finish(self) -> None:
        """End all events, and close a detector that was switched to; after `run`."""
        self._judge.end_defect(" because the watch ended", self._runs.current)
        self._health.close("The watch ended")
        self._setups.close()
        self._outputs.state.change(self.name, activity="stopped", reason="the watch ended")
        # The error that ended the watch matters more than one of the counters, which may follow it.
        with contextlib.suppress(SemedgeError):
            self.count(ended=True)

    def count(self, *, ended: bool = False) -> None:
        """Store the counters."""
        self._runs.count(self.counters(), ended=ended)

    def stop(self) -> None:
        """Finish the current frame, and end `run`; callable from any thread."""
        self._source.stop()

    def switch(self, setup: CameraSetup) -> None:
        """Judge by another setup from the next frame on; callable from any thread.

        Where its camera is another one, the current camera is closed first.
        """
        if self._setups.request(setup):
            self._source.close()

    def counters(self) -> Counters:
        """Frames and alerts so far."""
        judged = self._judge.counters
        skipped = self._health.unfit_frames + self._source.skipped
        lost = self._source.lost
        return replace(
            judged,
            frames_seen=judged.frames_inspected + skipped + lost,
            frames_skipped=skipped,
            frames_lost=lost,
        )

    def _inspect_camera(self) -> bool:
        """Inspect the camera's frames; False where they end because the camera is switched."""
        with self._source.opened(self._open_camera()) as camera:
            self._outputs.state.change(self.name, source=camera.source)
            self._log_start(camera)
            self._health.begin(self._setups.current, live=camera.live)
            try:
                while not self._is_over() and (frame := self._source.frame()) is not None:
                    if self._take_setup(camera_stays=True):
                        self._health.begin(self._setups.current, live=camera.live)
                    if self._is_fit(frame):
                        self._inspect(frame)
            finally:
                self._health.close("The camera was closed")
        return self._setups.next_with_other_camera is None

    def _open_camera(self) -> Camera:
        """The requested camera, or the current one where that fails or none is requested."""
        following = self._setups.next_with_other_camera
        if following is not None:
            try:
                camera = following.camera.open()
            except SemedgeError as error:
                self._refuse(following, error)
            else:
                self._take_setup()
                return camera
        self._take_setup()
        return self._setups.current.camera.open()

    def _refuse(self, setup: CameraSetup, error: SemedgeError) -> None:
        """Keep the current setup, because the requested camera cannot be used."""
        self._setups.refuse(setup)
        message = f"{self.name} keeps its setup: {error}"
        logger.warning(message, extra={"event": "recipe-refused"})
        recorder = self._outputs.recorder
        recorder.record(new_event(recorder.station, "recipe", "refused", message, camera=self.name))

    def _log_start(self, camera: Camera) -> None:
        setup = self._setups.current
        levels = setup.levels
        warning = "" if levels.warn is None else f", a warning is one above {levels.warn:.4g}"
        logger.info(
            f"Watching {camera.source}; an alarm is a score above {levels.alarm:.4g}{warning}. "
            f"{setup.calibration.guarantee}",
            extra={"event": "watching"},
        )

    def _is_fit(self, frame: Frame) -> bool:
        """Whether the frame's picture can be inspected; logged where that changes."""
        was_fit = self._health.is_fit
        reason = self._health.observe(frame)
        if reason:
            self._not_inspecting(reason, log=was_fit)
            return False
        if not was_fit:
            logger.info("Inspecting again.", extra={"event": "inspecting-again"})
        return True

    def _inspect(self, frame: Frame) -> None:
        qualified = self._qualification.covers(self.name, self._judge.active_setup)
        inspected = self._judge.inspect(frame, self._runs.current, qualified=qualified)
        self._failure.end("The camera gives frames again.")
        if qualified:
            self._outputs.state.change(self.name, activity="inspecting", reason="")
        else:
            self._judge.end_defect(f" because {UNQUALIFIED}", self._runs.current)
            self._not_inspecting(f"{UNQUALIFIED}.", log=self._judge.frames_inspected == 1)
        self._outputs.state.inspected(self.name, inspected, self.counters())

    def _take_setup(self, *, camera_stays: bool = False) -> bool:
        """Switch to the setup that was requested; whether there was one."""
        before = self._setups.take(camera_stays=camera_stays)
        if before is None:
            return False
        setup = self._setups.current
        self._judge.switch(setup, self._runs.current)
        if before.detector is not setup.detector:
            before.detector.close()
        self._outputs.state.change(self.name, active_setup=setup.active_setup)
        if before.active_setup != setup.active_setup:
            # Where the journal cannot be written, the run before goes on.
            with contextlib.suppress(SemedgeError):
                self.count(ended=True)
                self._runs.begin(setup)
        return True

    def _is_over(self) -> bool:
        limit = self._limits.max_frames
        return self._source.stopped or (limit is not None and self._judge.frames_inspected >= limit)

    def _on_stall(self, reason: str, log: bool) -> None:
        self._health.no_frame(reason)
        self._not_inspecting(reason, log=log)

    def _not_inspecting(self, reason: str, *, log: bool = True) -> None:
        self._outputs.state.change(self.name, activity="not inspecting", reason=reason)
        if log:
            logger.info(f"Not inspecting: {reason}", extra={"event": "not-inspecting"})
