"""Events of a defect: its start, its updates and its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from semedge.core.event import Event, Phase
from semedge.core.frame import Frame
from semedge.decision.defect import Defect, Judgement
from semedge.inference.score_map import ScoreMap
from semedge.journal.records import WatchRun
from semedge.station.camera_setup import CameraSetup
from semedge.station.event_pictures import EventPictures
from semedge.station.recorder import EventRecorder, new_event


@dataclass(frozen=True)
class _Peak:
    """The frame with the largest score so far, whose pictures may not be written yet."""

    frame: Frame
    score_map: ScoreMap


class DefectReporter:
    """Reports the defects of one camera.

    An event is about the frame with the largest score so far. Pictures are written of the frame
    that starts the defect, and of a later one when an update or the end is about it.

    Parameters
    ----------
    recorder, pictures
        Record the events, and write their pictures.
    camera
        Name of the camera.
    """

    def __init__(self, recorder: EventRecorder, pictures: EventPictures, camera: str) -> None:
        self.alerts = 0
        self._recorder = recorder
        self._pictures = pictures
        self._camera = camera
        self._event: Event | None = None
        self._peak: _Peak | None = None

    @property
    def is_ongoing(self) -> bool:
        """Whether a defect was reported that has not ended."""
        return self._event is not None

    def report(
        self,
        judgement: Judgement,
        frame: Frame,
        score_map: ScoreMap,
        setup: CameraSetup,
        run: WatchRun,
        at_s: float,
    ) -> str | None:
        """Report the judgement of a frame; `at_s` is the monotonic time of the judgement.

        Returns the identifier of the defect that the frame belongs to; None where to none.
        """
        if judgement.is_peak:
            self._peak = _Peak(frame, score_map)
        event = self._event
        for phase in judgement.phases:
            assert judgement.defect is not None
            if phase == "start":
                event = self._event = self._first_event(setup)
            self._record(phase, judgement.defect, setup, run, at_s)
        return None if event is None or judgement.level is None else event.event_id

    def end(self, defect: Defect, setup: CameraSetup, run: WatchRun, reason: str) -> None:
        """Report that a defect is over because no frame of it can follow."""
        self._record("end", defect, setup, run, time.monotonic(), reason)

    def _first_event(self, setup: CameraSetup) -> Event:
        active = setup.active_setup
        return replace(
            new_event(
                self._recorder.station,
                "defect",
                "score",
                "",
                phase="start",
                camera=self._camera,
            ),
            detector_sha256=active.detector_sha256,
            calibration_sha256=active.calibration_sha256,
            recipe_sha256=active.recipe_sha256,
        )

    def _record(
        self,
        phase: Phase,
        defect: Defect,
        setup: CameraSetup,
        run: WatchRun,
        at_s: float,
        reason: str = "",
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
        self._recorder.record(event, run)

    def _count(self, before: Event, defect: Defect) -> None:
        if defect.level == "alarm" and before.level != "alarm":
            self.alerts += 1

    def _with_peak(self, event: Event, peak: _Peak, setup: CameraSetup) -> Event:
        """The event about the frame with the largest score, with its pictures written."""
        frame, score_map = peak.frame, peak.score_map
        pictures = self._pictures.write(frame, score_map, setup.levels.lowest, event.event_id)
        return replace(
            event,
            sequence=frame.sequence,
            source=frame.source,
            captured_at_s=frame.captured_at_s,
            frame_score=score_map.frame_score,
            raw_score=setup.detector.raw_score(score_map.frame_score),
            peak_px=score_map.peak_px,
            regions=tuple(
                region.sized(frame.pixel_size_um)
                for region in score_map.regions(setup.levels.lowest)
            ),
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
