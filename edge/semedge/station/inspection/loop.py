"""The loop of one camera: it reads frames, and has them judged while they can be."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from semedge.cameras import Camera
from semedge.core.backoff import Backoff
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame, GrayImage
from semedge.core.parts import reason_of
from semedge.core.view import FrameView, ViewSettings, frame_again, seen_again
from semedge.journal.records import Counters
from semedge.station.camera_setup import (
    CameraChoice,
    CameraSetup,
    StationCamera,
    same_frames,
    view_of,
)
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


class _FellBackError(Exception):
    """The camera must be opened again, because the setup before needs it otherwise."""


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
        self._settled: Callable[[CameraSetup, str], None] = lambda setup, fault: None
        self._restored = False
        self._last_frame: tuple[Frame, ViewSettings] | None = None
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

        Raises what the camera, its driver or the detector raises, unless the loop keeps trying.
        """
        backoff = Backoff(SHORTEST_RETRY_S, LONGEST_RETRY_S)
        while not self._is_over():
            self._source.begin_iteration()
            inspected_before = self._judge.frames_inspected
            try:
                if self._inspect_camera():
                    break
            except _FellBackError:
                continue
            except Exception as error:
                if not self._restored and self._fall_back(error):
                    continue
                if not self._keep_trying:
                    raise
                if self._judge.frames_inspected > inspected_before:
                    backoff.reset()
                self._report_failure(error)
                self._source.wait(backoff.next_s())

    def show_stopped(self, reason: str) -> None:
        """Show that no further frame will be inspected, and why."""
        self._outputs.state.change(self.name, activity="stopped", reason=reason)

    def show_hang(self, reason: str) -> None:
        """Show that the loop hangs; the next frame that it inspects shows that it goes on."""
        if self._outputs.state.activity(self.name) == "inspecting":
            self._not_inspecting(reason)
            self._failure.start(reason)

    def finish(self) -> None:
        """End all events, and close a detector that was switched to; after `run`."""
        self._judge.end_defect(" because the watch ended", self._runs.current)
        self._health.close("The watch ended")
        self._setups.close()
        self.show_stopped("the watch ended")
        # The error that ended the watch matters more than one of the counters, which may follow it.
        with contextlib.suppress(SemedgeError):
            self.count(ended=True)

    def count(self, *, ended: bool = False) -> None:
        """Store the counters."""
        self._runs.count(self.counters(), ended=ended)

    def stop(self) -> None:
        """Finish the current frame, and end `run`; callable from any thread."""
        self._source.stop()

    def on_settled(self, settled: Callable[[CameraSetup, str], None]) -> None:
        """Call `settled` with each setup whose trial has ended, and its fault or an empty text."""
        self._settled = settled

    def restore(self, setup: CameraSetup) -> None:
        """Judge by a setup from before a restart; called before `run`."""
        self._restored = True
        self._setups.request(setup)

    def switch(self, setup: CameraSetup) -> None:
        """Judge by another setup from the next frame on; callable from any thread.

        Where its camera is another one, the current camera is closed first, but not where only
        other parts of its frames are left out. Until some frames were judged without a fault, the
        setup is on trial: the first fault takes the camera back to the setup before.
        """
        if self._setups.request(setup):
            self._source.close()

    def try_out(self, setup: CameraSetup) -> None:
        """Score the camera's last frame by a setup; callable from any thread.

        Raises `SemedgeError` where that fails.
        """
        image = self.last_image(setup.camera)
        if image is None:
            return
        try:
            setup.detector.score(image)
        except Exception as error:
            height, width = image.shape
            raise SemedgeError(
                f"The last frame of {self.name}, {width}x{height} px, cannot be judged by this "
                f"setup ({reason_of(error)}); {self.name} keeps its own. Correct the recipe."
            ) from error

    def share_inspected(self, setup: CameraSetup) -> float | None:
        """Share of the camera's last frame that a setup inspects; None before the first frame.

        Scores nothing, since the loop may be scoring by the same detector. Raises `SemedgeError`
        where nothing of the frame is left.
        """
        last = self._last_frame
        if last is None:
            return None
        return setup.detector.share_inspected(frame_again(*last, view_of(setup.camera)))

    def last_image(self, camera: CameraChoice) -> GrayImage | None:
        """The last frame with the crop of another setup's camera; None before the first frame."""
        last = self._last_frame
        if last is None:
            return None
        frame, before = last
        return seen_again(frame.image, before, view_of(camera))

    @property
    def newest_frame(self) -> Frame | None:
        """The last frame that the camera gave, inspected or not; None before the first."""
        last = self._last_frame
        return None if last is None else last[0]

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
                    arrived_s = time.perf_counter()
                    before = self._setups.current.camera
                    if self._take_setup(camera_stays=True):
                        frame = self._shown_anew(frame, before)
                        self._health.begin(self._setups.current, live=camera.live)
                    self._last_frame = frame, view_of(self._setups.current.camera)
                    if self._is_fit(frame):
                        self._inspect(frame, arrived_s)
            finally:
                self._health.close("The camera was closed")
        return self._setups.next_with_other_camera is None

    def _open_camera(self) -> Camera:
        """The requested camera, or the current one where that fails or none is requested."""
        following = self._setups.next_with_other_camera
        if following is not None:
            try:
                camera = following.camera.open()
            except Exception as error:
                self._setups.refuse(following)
                self._report_refusal(following, error)
            else:
                self._take_setup()
                return camera
        self._take_setup()
        return self._setups.current.camera.open()

    def _report_refusal(self, setup: CameraSetup, error: Exception) -> None:
        """Report that a setup cannot be used, and that the one before it stays active."""
        fault = reason_of(error)
        message = f"{self.name} keeps its setup: {fault}"
        logger.warning(message, extra={"event": "recipe-refused"})
        recorder = self._outputs.recorder
        recorder.record(new_event(recorder.station, "recipe", "refused", message, camera=self.name))
        self._settled(setup, fault)

    def _fall_back(self, error: Exception) -> bool:
        """Return to the setup before the current one, if that is on trial; whether it was."""
        failed = self._setups.fall_back()
        if failed is None:
            return False
        self._show_setup(failed)
        self._report_refusal(failed, error)
        return True

    def _report_failure(self, error: Exception) -> None:
        """Show, log and record why the camera is not inspected; never fails itself."""
        reason = reason_of(error)
        if not isinstance(error, SemedgeError):
            logger.error(
                f"{self.name} failed: {reason}", extra={"event": "camera-fault"}, exc_info=error
            )
        self._not_inspecting(reason)
        try:
            self._failure.start(reason)
        except Exception:
            logger.exception(
                f"The failure of {self.name} was not recorded.", extra={"event": "not-recorded"}
            )

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

    def _inspect(self, frame: Frame, arrived_s: float) -> None:
        qualified = self._qualification.covers(self.name, self._judge.active_setup)
        try:
            inspected = self._judge.inspect(
                frame, self._runs.current, qualified=qualified, arrived_s=arrived_s
            )
        except Exception as error:
            tried = self._setups.current
            if not self._fall_back(error):
                raise
            if not same_frames(self._setups.current.camera, tried.camera):
                raise _FellBackError from error
            self._inspect(self._shown_anew(frame, tried.camera), arrived_s)
            return
        if self._setups.judged():
            self._restored = False
            self._settled(self._setups.current, "")
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
        self._show_setup(before)
        return True

    def _shown_anew(self, frame: Frame, before: CameraChoice) -> Frame:
        """The frame and all that follow as the current setup inspects them, in place of another."""
        camera = self._setups.current.camera
        if camera == before:
            return frame
        view = view_of(camera)
        self._source.show_by(view)
        return FrameView(view).leave_out_again(frame)

    def _show_setup(self, before: CameraSetup) -> None:
        """Judge by the current setup, show it, and begin a run of its own."""
        setup = self._setups.current
        self._judge.switch(setup, self._runs.current)
        self._outputs.state.change(self.name, active_setup=setup.active_setup)
        if before.active_setup != setup.active_setup:
            # Where the journal cannot be written, the run before goes on.
            with contextlib.suppress(SemedgeError):
                self.count(ended=True)
                self._runs.begin(setup)

    def _is_over(self) -> bool:
        limit = self._limits.max_frames
        return self._source.stopped or (limit is not None and self._judge.frames_inspected >= limit)

    def _on_stall(self, reason: str, log: bool) -> None:
        if not self._restored and self._fall_back(SemedgeError(reason)):
            raise _FellBackError
        self._health.no_frame(reason)
        self._not_inspecting(reason, log=log)

    def _not_inspecting(self, reason: str, *, log: bool = True) -> None:
        self._outputs.state.change(self.name, activity="not inspecting", reason=reason)
        if log:
            logger.info(f"Not inspecting: {reason}", extra={"event": "not-inspecting"})
