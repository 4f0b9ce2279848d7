"""What is told of a defect: its start, its updates and its end."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace

from semedge.core.event import Event, Phase
from semedge.core.frame import Frame
from semedge.decision.defect import Defect, Judgement
from semedge.inference.score_map import ScoreMap
from semedge.journal.records import Run
from semedge.station.camera_setup import Setup
from semedge.station.recorder import Pictures, Recorder


@dataclass(frozen=True)
class _Peak:
    """The frame with the largest score so far, of which pictures may still be due."""

    frame: Frame
    score_map: ScoreMap


class DefectTeller:
    """Tells of the defects of one camera.

    An event names the frame with the largest score so far; pictures are written of the frame that
    starts the defect, and of a later one when an update or the end names it.

    Parameters
    ----------
    recorder
        Takes the events.
    camera
        Name of the camera.
    """

    def __init__(self, recorder: Recorder, camera: str) -> None:
        self.alerts = 0
        self._recorder = recorder
        self._camera = camera
        self._event: Event | None = None
        self._peak: _Peak | None = None

    @property
    def goes_on(self) -> bool:
        """Whether a defect was told of that is not over."""
        return self._event is not None

    def tell(
        self,
        judgement: Judgement,
        frame: Frame,
        score_map: ScoreMap,
        setup: Setup,
        run: Run,
        at_s: float,
    ) -> None:
        """Tell what a judgement says of the frame, looked at `at_s` by the monotonic clock."""
        if judgement.is_peak:
            self._peak = _Peak(frame, score_map)
        for phase in judgement.phases:
            assert judgement.defect is not None
            if phase == "start":
                self._event = self._first_event(setup, frame)
            self._tell(phase, judgement.defect, setup, run, at_s)

    def end(self, defect: Defect, setup: Setup, run: Run, reason: str) -> None:
        """Tell that a defect is over because no frame of it can follow."""
        self._tell("end", defect, setup, run, time.monotonic(), reason)

    def _first_event(self, setup: Setup, frame: Frame) -> Event:
        in_force = setup.in_force
        now_s = time.time()
        return Event(
            event_id=uuid.uuid4().hex,
            kind="defect",
            phase="start",
            code="score",
            message="",
            station=self._recorder.station,
            camera=self._camera,
            started_at_s=now_s,
            raised_at_s=now_s,
            detector_sha256=in_force.detector_sha256,
            calibration_sha256=in_force.calibration_sha256,
            recipe_sha256=in_force.recipe_sha256,
        )

    def _tell(
        self, phase: Phase, defect: Defect, setup: Setup, run: Run, at_s: float, reason: str = ""
    ) -> None:
        before = self._event
        assert before is not None
        self._count(before, defect)
        event = replace(
            before,
            phase=phase,
            level=defect.level,
            raised_at_s=time.time(),
            duration_s=at_s - defect.started_s,
            frames=defect.frames,
            threshold=setup.levels.of(defect.level),
        )
        if self._peak is not None:
            event = self._with_peak(event, self._peak, setup)
            self._peak = None
        if defect.suppressed:
            event = replace(event, details={"frames_before": defect.suppressed})
        event = replace(event, message=_sentence(event, reason))
        self._event = None if phase == "end" else event
        self._recorder.tell(event, run)

    def _count(self, before: Event, defect: Defect) -> None:
        if defect.level == "alarm" and before.level != "alarm":
            self.alerts += 1

    def _with_peak(self, event: Event, peak: _Peak, setup: Setup) -> Event:
        """The event about the frame with the largest score, with its pictures written."""
        frame, score_map = peak.frame, peak.score_map
        pictures: Pictures = self._recorder.write_pictures(
            frame, score_map, setup.levels.lowest, event.event_id
        )
        return replace(
            event,
            sequence=frame.sequence,
            source=frame.source,
            captured_at_s=frame.captured_at_s,
            frame_score=score_map.frame_score,
            peak_px=score_map.peak_px,
            regions=score_map.regions(setup.levels.lowest),
            frame_picture=pictures.frame,
            overlay_picture=pictures.overlay,
        )


def _sentence(event: Event, reason: str) -> str:
    assert event.peak_px is not None
    x, y = event.peak_px
    text = (
        f"frame {event.sequence} ({event.source}) scores {event.frame_score:.4g}, above "
        f"{event.threshold:.4g}, at x={x} y={y}"
    )
    if event.phase != "end":
        return f"{text[0].upper()}{text[1:]}."
    frames = "1 frame" if event.frames == 1 else f"{event.frames:,} frames"
    return f"Over after {frames} in {event.duration_s:.1f} s{reason}; {text}."
