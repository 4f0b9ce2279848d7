"""The loop from the camera to the alert."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType, TracebackType

import numpy as np
from numpy.typing import NDArray

from semedge.calibrating import calibration_sha256
from semedge.cameras import Camera, CameraStalledError
from semedge.console import say
from semedge.delivery import Delivery
from semedge.detector import Detector, ScoreMap
from semedge.errors import SemedgeError
from semedge.event import Event
from semedge.files import write_atomically
from semedge.frame import Frame
from semedge.journal import Counters, Journal, Run
from semedge.overlay import draw_overlay, encode_png
from semedge.sinks import Sink
from semedge_calibration import Calibration

COUNT_EVERY_S = 5.0
"""Time between two records of the counters, so that a kill loses no more."""

REMIND_EVERY_S = 60.0
"""Time between two lines that say that a camera is still silent."""

SHORTEST_RETRY_S = 0.5
"""Pause where a stalled camera fails at once, so that the loop does not spin."""

LATENCIES_KEPT = 10_000


@dataclass(frozen=True)
class WatchSettings:
    """How long to watch, and where the pictures go.

    Attributes
    ----------
    pictures
        Folder of the pictures of alerts.
    station, camera
        Names that events carry.
    max_frames
        Stop after so many inspected frames; None for no limit.
    stop_after_stalled_s
        Give up on a live camera that is silent so long; None for never.
    """

    pictures: Path
    station: str = "station"
    camera: str = "camera"
    max_frames: int | None = None
    stop_after_stalled_s: float | None = None


@dataclass(frozen=True)
class WatchSummary:
    """What a run saw.

    Attributes
    ----------
    counters
        Frames and alerts.
    elapsed_s
        Length of the run.
    latency_ms
        Median and 95 % quantile of the time from a frame's arrival to its decision, pictures and
        journal of an alert included, over the last 10,000 frames; None where there were none.
    """

    counters: Counters
    elapsed_s: float
    latency_ms: tuple[float, float] | None

    def sentence(self) -> str:
        """The summary for people."""
        counters = self.counters
        rate_hz = counters.frames_inspected / max(self.elapsed_s, 1e-9)
        text = (
            f"{counters.frames_seen:,} frames seen, {counters.frames_inspected:,} inspected, "
            f"{counters.frames_skipped:,} skipped, {counters.frames_lost:,} lost; "
            f"{counters.alerts:,} alert{'' if counters.alerts == 1 else 's'}; "
            f"{rate_hz:.1f} frames/s"
        )
        if self.latency_ms is not None:
            text += f"; latency {self.latency_ms[0]:.0f} ms, p95 {self.latency_ms[1]:.0f} ms"
        return f"{text}."


class Watch:
    """Takes frames from a camera, scores them, and raises an alert where one is not normal.

    Parameters
    ----------
    camera
        Where the frames come from; it stays open.
    detector, calibration
        What scores a frame, and the threshold that its score is held against.
    journal
        Every alert is on the disk here before it is delivered.
    sinks
        Where alerts go.
    settings
        How long to watch, and where the pictures go.
    """

    def __init__(
        self,
        camera: Camera,
        detector: Detector,
        calibration: Calibration,
        journal: Journal,
        sinks: Sequence[Sink],
        settings: WatchSettings,
    ) -> None:
        self._camera = camera
        self._detector = detector
        self._calibration = calibration
        self._journal = journal
        self._sinks = tuple(sinks)
        self._settings = settings
        self._pictures = settings.pictures.absolute()
        self._delivery = Delivery(journal, self._sinks)
        self._stop = StopRequest()
        self._shapes_warned: set[tuple[int, int]] = set()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._inspected = 0
        self._alerts = 0
        self._run: Run

    def run(self) -> WatchSummary:
        """Watch until the camera ends, a limit is reached, or SIGINT or SIGTERM comes.

        Raises `SemedgeError` where the journal cannot be written, the camera cannot be used, or
        a frame cannot be scored; what was raised before is in the journal.
        """
        started_s = time.monotonic()
        self._run = self._journal.start_run(
            self._settings.camera,
            self._camera.source,
            self._detector.bundle.sha256,
            self._calibration.threshold,
            calibration_sha256=calibration_sha256(self._calibration),
        )
        self._delivery.start()
        try:
            with self._stop:
                self._inspect_frames()
        except BaseException:
            self._delivery.close()
            # What ended the watch matters more than the counters, which may fail for its sake.
            with contextlib.suppress(SemedgeError):
                self._journal.count(self._run, self._counters(), ended=True)
            raise
        self._delivery.close()
        self._journal.count(self._run, self._counters(), ended=True)
        return WatchSummary(
            self._counters(), time.monotonic() - started_s, _quantiles(self._latencies_ms)
        )

    def stop(self) -> None:
        """Finish the frame at hand and end `run`; callable from any thread."""
        self._stop.requested = True

    def _inspect_frames(self) -> None:
        counted_s = time.monotonic()
        while not self._is_over() and (frame := self._take_frame()) is not None:
            arrived_s = time.perf_counter()
            self._warn_of_shape(frame)
            score_map = self._detector.score(frame)
            if self._calibration.exceeds(score_map.frame_score):
                self._record(frame, score_map)
                self._delivery.wake()
            self._inspected += 1
            self._latencies_ms.append((time.perf_counter() - arrived_s) * 1e3)
            if time.monotonic() - counted_s > COUNT_EVERY_S:
                self._journal.count(self._run, self._counters())
                counted_s = time.monotonic()

    def _is_over(self) -> bool:
        limit = self._settings.max_frames
        return self._stop.requested or (limit is not None and self._inspected >= limit)

    def _take_frame(self) -> Frame | None:
        """The camera's next frame, waited for through stalls; None where there will be none."""
        asked_s = time.monotonic()
        said_s: float | None = None
        while not self._stop.requested:
            tried_s = time.monotonic()
            try:
                with self._stop.interruptible():
                    frame = next(self._camera, None)
            except CameraStalledError as error:
                self._give_up_on_stall(error, time.monotonic() - asked_s)
                if said_s is None or time.monotonic() - said_s > REMIND_EVERY_S:
                    said_s = time.monotonic()
                    say(f"Not inspecting: {error}")
                self._stop.wait(SHORTEST_RETRY_S - (time.monotonic() - tried_s))
                continue
            except Interrupted:
                return None
            if frame is not None and said_s is not None:
                say(f"Inspecting again, after {time.monotonic() - asked_s:.1f} s.")
            return frame
        return None

    def _give_up_on_stall(self, error: CameraStalledError, silent_s: float) -> None:
        limit_s = self._settings.stop_after_stalled_s
        if not self._camera.live:
            raise error
        if limit_s is not None and silent_s >= limit_s:
            raise SemedgeError(
                f"The camera {self._camera.source} gave no frame for {silent_s:.1f} s, and the "
                f"limit is {limit_s:g} s; check the camera and its cable."
            ) from error

    def _warn_of_shape(self, frame: Frame) -> None:
        """Say once for each size that the promise was made for frames of another one."""
        calibrated = self._calibration.grid.frame_shape
        if frame.shape == calibrated or frame.shape in self._shapes_warned:
            return
        self._shapes_warned.add(frame.shape)
        (height, width), (made_height, made_width) = frame.shape, calibrated
        say(
            f"Warning: frames have {width}x{height} px, and the calibration's promise counts areas "
            f"of {made_width}x{made_height} px; a frame is "
            f"{height * width / (made_height * made_width):.3g} of them, and its rate of false "
            "alarms differs accordingly."
        )

    def _record(self, frame: Frame, score_map: ScoreMap) -> None:
        """Write the pictures, then the journal, so that the journal names no missing picture."""
        event_id = uuid.uuid4().hex
        raised_at_s = time.time()
        frame_picture, overlay_picture = self._write_pictures(frame, score_map, event_id)
        x, y = score_map.peak_px
        event = Event(
            event_id=event_id,
            kind="defect",
            phase="end",
            code="score",
            message=(
                f"Frame {frame.sequence} ({frame.source}) scores {score_map.frame_score:.4g}, "
                f"above {self._calibration.threshold:.4g}, at x={x} y={y}."
            ),
            station=self._settings.station,
            camera=self._settings.camera,
            started_at_s=raised_at_s,
            raised_at_s=raised_at_s,
            level="alarm",
            sequence=frame.sequence,
            source=frame.source,
            captured_at_s=frame.captured_at_s,
            frame_score=score_map.frame_score,
            threshold=self._calibration.threshold,
            peak_px=score_map.peak_px,
            frames=1,
            detector_sha256=self._detector.bundle.sha256,
            calibration_sha256=calibration_sha256(self._calibration),
            frame_picture=frame_picture,
            overlay_picture=overlay_picture,
        )
        self._alerts += 1
        try:
            self._journal.add_event(event, self._delivery.sink_names, self._run)
        except SemedgeError:
            for sink in self._sinks:
                with contextlib.suppress(Exception):
                    sink.deliver(event)
            raise

    def _write_pictures(
        self, frame: Frame, score_map: ScoreMap, event_id: str
    ) -> tuple[str | None, str | None]:
        """Paths of the frame's and the overlay's picture; None where one could not be written."""
        captured = datetime.fromtimestamp(frame.captured_at_s, timezone.utc)
        folder = self._pictures / f"{captured:%Y-%m-%d}"
        stem = f"{captured:%H%M%S}-{frame.sequence}-{event_id[:12]}"
        overlay = draw_overlay(frame.image, score_map, self._calibration.threshold)
        return (
            _write_picture(folder / f"{stem}-frame.png", frame.image),
            _write_picture(folder / f"{stem}-overlay.png", overlay),
        )

    def _counters(self) -> Counters:
        skipped, lost = len(self._camera.skipped), self._camera.lost
        return Counters(
            frames_seen=self._inspected + skipped + lost,
            frames_inspected=self._inspected,
            frames_skipped=skipped,
            frames_lost=lost,
            alerts=self._alerts,
            frames_warned=self._alerts,
            frames_alarmed=self._alerts,
        )


class Interrupted(BaseException):
    """A signal came while the loop waited for a frame."""


class StopRequest:
    """Turns the first SIGINT or SIGTERM into a request; a second one acts as it always does.

    While the loop waits for a frame, the signal breaks the wait off; while it works on one, the
    frame is finished first.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._breakable = False
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {each: signal.signal(each, self._on_signal) for each in self.SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within, a request raises `Interrupted`."""
        self._breakable = True
        try:
            if self.requested:
                raise Interrupted
            yield
        finally:
            self._breakable = False

    def wait(self, pause_s: float) -> None:
        """Let time pass, or less where a request comes."""
        with contextlib.suppress(Interrupted), self.interruptible():
            time.sleep(max(0.0, pause_s))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()
        if self._breakable:
            raise Interrupted

    def _restore(self) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)  # type: ignore[arg-type]
        self._previous = {}


def _write_picture(path: Path, image: NDArray) -> str | None:
    try:
        write_atomically(path, encode_png(image))
    except SemedgeError as error:
        say(f"The alert has no picture: {error}")
        return None
    return str(path)


def _quantiles(latencies_ms: Sequence[float]) -> tuple[float, float] | None:
    if not latencies_ms:
        return None
    median, high = np.quantile(latencies_ms, (0.5, 0.95))
    return float(median), float(high)
