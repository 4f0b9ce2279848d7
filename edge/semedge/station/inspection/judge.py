"""The judge of a camera: scores a frame, judges it, and records the result."""

from __future__ import annotations

import time
from dataclasses import replace

from semedge.core.colour import ColourWarning
from semedge.core.frame import Frame
from semedge.decision.defect import DefectTracker
from semedge.decision.frame_sizes import FrameSizeWarning
from semedge.decision.judged_score import judged_score
from semedge.journal.records import Counters, WatchRun
from semedge.state.snapshot import ActiveSetup, Inspected
from semedge.station.camera_setup import CameraSetup, view_of
from semedge.station.inspection.defect_events import DefectReporter
from semedge.station.inspection.drift_events import DriftReporter
from semedge.station.inspection.outputs import LoopOutputs


class FrameJudge:
    """Judges the frames of one camera, one by one.

    Parameters
    ----------
    camera
        Name of the camera.
    setup
        The setup that its frames are judged by.
    outputs
        Record events and scores.
    """

    def __init__(self, camera: str, setup: CameraSetup, outputs: LoopOutputs) -> None:
        self._setup = setup
        self._active_setup = setup.active_setup
        self._scores = outputs.scores
        self._tracker = DefectTracker(setup.levels, setup.decision)
        self._defects = DefectReporter(outputs.recorder, outputs.pictures, camera)
        self._drift = DriftReporter(outputs.recorder, outputs.state, camera, setup)
        self._size = FrameSizeWarning()
        self._colour = ColourWarning(judged=setup.detector.judges_colours)
        self._counters = Counters()

    @property
    def active_setup(self) -> ActiveSetup:
        """The setup that frames are judged by."""
        return self._active_setup

    @property
    def frames_inspected(self) -> int:
        """Number of frames judged so far."""
        return self._counters.frames_inspected

    @property
    def counters(self) -> Counters:
        """Counters of inspected frames and alerts so far."""
        return replace(self._counters, alerts=self._defects.alerts)

    def inspect(
        self, frame: Frame, run: WatchRun, *, qualified: bool, arrived_s: float
    ) -> Inspected:
        """Score and judge a frame, and record it; a defect only where the camera is qualified.

        `arrived_s` is when the frame arrived, by `time.perf_counter`.
        """
        began_s = time.perf_counter()
        self._size.check(frame.source, frame.shape, self._setup.calibration)
        self._colour.check(frame.source, in_colour=frame.colours is not None)
        score_map = self._setup.detector.score(frame)
        scored_s = time.perf_counter()
        at_s = time.monotonic()
        setup = self._setup
        score = judged_score(frame, score_map, setup.levels, setup.decision.smallest_um)
        judgement = self._tracker.judge(score, at_s)
        if not qualified:
            judgement = replace(judgement, phases=())
        is_alarm = judgement.level == "alarm"
        self._drift.add(score_map.frame_score, frame.shape, is_alarm=is_alarm)
        event_id = self._defects.report(judgement, frame, score_map, self._setup, run, at_s)
        self._scores.add(run, frame, score_map.frame_score, judgement.level)
        self._counters = replace(
            self._counters,
            frames_inspected=self._counters.frames_inspected + 1,
            frames_warned=self._counters.frames_warned + (judgement.level == "warn"),
            frames_alarmed=self._counters.frames_alarmed + (judgement.level == "alarm"),
        )
        ended_s = time.perf_counter()
        latency_ms = {
            "health": (began_s - arrived_s) * 1e3,
            **score_map.stage_ms,
            "record": (ended_s - scored_s) * 1e3,
            "total": (ended_s - arrived_s) * 1e3,
        }
        view = view_of(self._setup.camera)
        return Inspected(frame, score_map, judgement.level, latency_ms, event_id, view)

    def switch(self, setup: CameraSetup, run: WatchRun) -> None:
        """Judge by another setup from the next frame on."""
        before = self._setup
        if before.detector is setup.detector and before.decision == setup.decision:
            self._tracker.levels = setup.levels
        else:
            self.end_defect(" because the setup has changed", run)
            self._tracker = DefectTracker(setup.levels, setup.decision)
        self._setup = setup
        self._active_setup = setup.active_setup
        self._colour = ColourWarning(judged=setup.detector.judges_colours)
        self._drift.restart(setup)

    def end_defect(self, reason: str, run: WatchRun) -> None:
        """End the defect in progress, because no frame of it can follow."""
        defect = self._tracker.end()
        if defect is not None and self._defects.is_ongoing:
            self._defects.end(defect, self._setup, run, reason)
