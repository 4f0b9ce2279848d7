"""A running station: a loop for each camera, the journal, and the sinks."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.core.parts import reason_of
from semedge.journal.database import CHECKED_BYTES, DamageCheck
from semedge.journal.journal import Journal
from semedge.journal.marked_frames import MarkedFrames
from semedge.journal.score_log import ScoreLog
from semedge.sinks.base import Sink
from semedge.sinks.delivery import Delivery
from semedge.state.recent_frames import RecentFrames
from semedge.state.state import StationState
from semedge.station.camera_setup import StationCamera
from semedge.station.connections import Connections
from semedge.station.control import StationControl, StationPlan
from semedge.station.event_pictures import EventPictures
from semedge.station.inspection.limits import LoopLimits
from semedge.station.inspection.loop import CameraLoop
from semedge.station.inspection.outputs import LoopOutputs
from semedge.station.marking import DEFAULT_MARKS, MarkSettings
from semedge.station.qualification import Qualification
from semedge.station.recorder import EventRecorder, OngoingEvent
from semedge.station.retention import DEFAULT_RETENTION, Retention, RetentionSettings
from semedge.station.signals import SignalPipe
from semedge.station.summary import WatchSummary
from semedge.station.systemd import SHORTEST_HANG_S, Heartbeat
from semedge.station.teaching import StationTeaching

logger = logging.getLogger(__name__)

ITERATION_S = 0.5
"""Longest time between two iterations of the main loop."""

COUNT_EVERY_S = 5.0
"""Time between two records of the counters, which is the most that a kill loses."""

LONGEST_HOUSEKEEPING_S = 120.0
"""Longest pass of the housekeeping, or of the retention, on a slow disk."""

SHOWN_SHARE = 1 / 3
"""Share of the limit of a hang after which a camera no longer counts as inspecting."""

STOP_TIMEOUT_S = 1.0
"""Time to finish the current frames; a scorer that hangs is not waited for."""

LESSON_FOLDER = "teaching"
"""Folder beside the journal, with the frames that are collected on the page."""

UNLIMITED = LoopLimits()
NO_PLAN = StationPlan()


@dataclass(frozen=True)
class WatchSettings:
    """Settings of a watch.

    Attributes
    ----------
    pictures
        Folder of the pictures of alerts.
    station
        Name that events carry.
    limits
        When the loop of a camera ends by itself.
    retention
        What is stored, and for how long.
    require_check
        Whether a camera may judge only after its active setup has passed its challenge set.
    hang_after_s
        The limit of `Heartbeat`.
    marks
        How many of the last frames can be marked, and how much of them is kept.
    """

    pictures: Path
    station: str = "station"
    limits: LoopLimits = UNLIMITED
    retention: RetentionSettings = DEFAULT_RETENTION
    require_check: bool = False
    hang_after_s: float = SHORTEST_HANG_S
    marks: MarkSettings = DEFAULT_MARKS


class Watch:
    """Watches cameras, each in a thread, and records events.

    Parameters
    ----------
    cameras
        The cameras, their names and their setups. Where there are several, or a page, one that
        fails is tried again while the others are inspected.
    journal
        The journal, which stores every event before it is delivered.
    sinks
        Receivers of the events, which are closed at the end.
    settings
        Settings of the watch.
    plan
        The settings of the station file, which can be read again.
    connections
        The page and the two-way sinks; opened and closed here.
    """

    def __init__(
        self,
        cameras: Sequence[StationCamera],
        journal: Journal,
        sinks: Sequence[Sink],
        settings: WatchSettings,
        plan: StationPlan = NO_PLAN,
        connections: Connections | None = None,
    ) -> None:
        marks = settings.marks
        recent = RecentFrames(marks.recent_frames, marks.recent_bytes)
        self.state = StationState(settings.station, [camera.name for camera in cameras], recent)
        self._journal = journal
        self._delivery = Delivery(journal, sinks, self.state.parts)
        self.state.connect(self._delivery.states, journal.pending_counts)
        recorder = self._recorder = EventRecorder(
            settings.station, journal, self._delivery, self.state
        )
        self._pictures = EventPictures(settings.pictures)
        self._journal_unwritable = OngoingEvent(recorder, "health", "journal-unwritable")
        self._scores = ScoreLog(journal, settings.retention.scores_every_s)
        self._retention = Retention(
            settings.retention,
            journal,
            self._pictures.folder,
            OngoingEvent(recorder, "health", "disk-full"),
            self._delivery.sink_names,
        )
        self._journal_damaged = OngoingEvent(recorder, "health", "journal-damaged")
        self._damage_check: DamageCheck | None = None
        self._signals = SignalPipe()
        self._qualification = Qualification(journal, self.state, required=settings.require_check)
        # With a page, a station whose only camera fails says why, in place of ending.
        stays = (
            connections is not None
            and connections.has_page
            and settings.limits.stop_after_stalled_s is None
        )
        outputs = LoopOutputs(recorder, self._pictures, self._scores, journal, self.state)
        self._workers = [
            _Worker(
                CameraLoop(
                    camera,
                    outputs,
                    settings.limits,
                    self._qualification,
                    keep_trying=len(cameras) > 1 or stays,
                ),
                self._signals,
            )
            for camera in cameras
        ]
        loops = [worker.loop for worker in self._workers]
        marked = MarkedFrames(self._pictures.folder, marks.most_bytes)
        self.control = StationControl(loops, recorder, journal, plan, marked, recent)
        self._teaching = StationTeaching(
            loops, self.state, self.control, journal, journal.path.parent / LESSON_FOLDER
        )
        self._connections = connections or Connections(sinks)
        self._heartbeat = Heartbeat(settings.hang_after_s)
        self._show_hang_after_s = settings.hang_after_s * SHOWN_SHARE
        self._faults: dict[str, OngoingEvent] = {}
        self._closing = threading.Event()
        self._keepers = [
            threading.Thread(
                target=self.state.parts.repeat,
                args=(name, step, self._closing),
                kwargs={"hang_after_s": LONGEST_HOUSEKEEPING_S},
                name=name,
                daemon=True,
            )
            for name, step in (("housekeeping", self._housekeep), ("retention", self._clean))
        ]

    def run(self) -> WatchSummary:
        """Watch until the cameras end, a limit is reached, or SIGINT or SIGTERM comes.

        Raises `SemedgeError` where the only camera cannot be used or a frame cannot be scored;
        earlier events are in the journal.
        """
        started_s = time.monotonic()
        # From the first entry in the journal on, a signal ends the watch and nothing halfway.
        with self._signals:
            self._watch()
        for worker in self._workers:
            worker.check()
        snapshot = self.state.snapshot()
        return WatchSummary(
            {worker.loop.name: worker.loop.counters() for worker in self._workers},
            time.monotonic() - started_s,
            {name: camera.latency_ms.get("total") for name, camera in snapshot.cameras.items()},
        )

    def stop(self) -> None:
        """Finish the current frames and end `run`; callable from any thread."""
        for worker in self._workers:
            worker.loop.stop()

    def _watch(self) -> None:
        """Open the connections, inspect until the end, and close what was opened."""
        for worker in self._workers:
            worker.loop.begin()
        if not self._journal.begin_watch():
            self._end_interrupted_events()
            self._check_for_damage()
        self._check_disk()
        self.control.restore()
        self._refresh_qualification()
        try:
            self._connections.open(self.state, self.control, self._teaching)
            self._heartbeat.start()
            self._delivery.start()
            for thread in (*self._workers, *self._keepers):
                thread.start()
            try:
                self._supervise()
            finally:
                self._heartbeat.stopping()
                self._connections.stop()
                self._teaching.close()
                self._stop_workers()
                self._delivery.close()
        finally:
            self._connections.close()
            self._heartbeat.close()
            self.state.recent.close()
        with contextlib.suppress(SemedgeError):
            self._journal.end_watch()

    def _end_interrupted_events(self) -> None:
        """End the events that a killed watch left without an end."""
        for event in self._journal.unended_events():
            self._recorder.record(
                replace(
                    event,
                    phase="end",
                    message="Ended, because the watch that reported it was killed.",
                    raised_at_s=time.time(),
                    details={**event.details, "interrupted": True},
                )
            )

    def _check_for_damage(self) -> None:
        """Read the whole journal in the background, because the last watch was killed."""
        if self._journal.path.stat().st_size <= CHECKED_BYTES:
            return
        check = self._damage_check = DamageCheck(self._journal.path)

        def run() -> None:
            if fault := check.run():
                logger.error(fault, extra={"event": "journal-damaged"})
                self._journal_damaged.start(fault)

        threading.Thread(target=run, name="journal-check", daemon=True).start()

    def _supervise(self) -> None:
        """Look after the threads, until all cameras have ended or one has died."""
        while any(worker.is_alive() for worker in self._workers):
            if any(worker.died for worker in self._workers):
                return
            signals = self._signals.wait(ITERATION_S)
            if signals & {signal.SIGINT, signal.SIGTERM}:
                return
            alive = [worker.loop for worker in self._workers if worker.is_alive()]
            for loop in alive:
                if (hung_s := loop.iteration_s) > self._show_hang_after_s:
                    loop.show_hang(f"The camera's loop has hung for {hung_s:.0f} s.")
            self._report_faults()
            longest_s = max((loop.iteration_s for loop in alive), default=0.0)
            self._heartbeat.beat(longest_s, self.state.snapshot())
            if signal.SIGHUP in signals:
                # Loading a detector takes seconds, during which the station can still be stopped.
                threading.Thread(target=self._reload, name="reload", daemon=True).start()

    def _report_faults(self) -> None:
        """Report which parts of the station fail, and which work again."""
        faults = self.state.parts.faults()
        for part, reason in faults.items():
            if part not in self._faults:
                self._faults[part] = OngoingEvent(self._recorder, "health", "part-failed")
                self._faults[part].start(
                    f"A part of the station fails, {part}: {reason}", part=part
                )
        for part in self._faults.keys() - faults.keys():
            self._faults.pop(part).end(f"A part of the station works again: {part}.")

    def _reload(self) -> None:
        self._heartbeat.reloading()
        try:
            self.control.reload("SIGHUP")
        except SemedgeError as error:
            logger.error(f"Not reloaded: {error}", extra={"event": "reload-refused"})
        else:
            logger.info("The station file was read again.", extra={"event": "reloaded"})
        finally:
            self._heartbeat.reloaded()

    def _refresh_qualification(self) -> None:
        loops = [worker.loop for worker in self._workers]
        self._qualification.refresh({each.name: each.setup.active_setup for each in loops})

    def _check_disk(self) -> None:
        """Stop storing pictures and scores where the disk has no space for them."""
        disk = self._retention.check_disk()
        self._pictures.set_paused(disk.pictures_stopped)
        self._scores.set_paused(disk.scores_stopped)
        self.state.change_station(disk=disk)

    def _housekeep(self) -> None:
        """Wait, write what is due to the disk, and report where the journal cannot be written."""
        if self._closing.wait(COUNT_EVERY_S):
            return
        self._check_disk()
        try:
            if not self._journal.is_in_place:
                raise SemedgeError(
                    f"The journal {self._journal.path} was deleted or replaced while the station "
                    "runs, so that nothing written since can be found there; restart the station."
                )
            self._journal.flush_buffer()
            self._journal.recount_pending()
            self._scores.store()
            self._refresh_qualification()
            for worker in self._workers:
                worker.loop.count()
        except SemedgeError as error:
            self._journal_unwritable.start(str(error))
        else:
            self._journal_unwritable.end("The journal is written again; nothing was lost.")

    def _clean(self) -> None:
        """Wait, and delete what is too old or too large."""
        if not self._closing.wait(COUNT_EVERY_S):
            self._retention.clean(lambda: not self._closing.is_set())

    def _stop_workers(self) -> None:
        self.stop()
        self._closing.set()
        until_s = time.monotonic() + STOP_TIMEOUT_S
        for thread in (*self._workers, *self._keepers):
            thread.join(max(0.0, until_s - time.monotonic()))
        for worker in self._workers:
            if not worker.is_alive():
                worker.loop.finish()
        if self._damage_check is not None:
            self._damage_check.stop()
        with contextlib.suppress(SemedgeError):
            self._scores.store(ended=True)


class _Worker(threading.Thread):
    """A loop's thread, which wakes the main one at its end."""

    def __init__(self, loop: CameraLoop, signals: SignalPipe) -> None:
        super().__init__(name=f"inspection-{loop.name}", daemon=True)
        self.loop = loop
        self._signals = signals
        self._error: BaseException | None = None

    @property
    def died(self) -> bool:
        """Whether an error ended the loop."""
        return self._error is not None

    def run(self) -> None:
        """Run the loop; `check` raises what ends it."""
        try:
            self.loop.run()
        except BaseException as error:
            self._error = error
            self.loop.show_stopped(reason_of(error))
        else:
            self.loop.show_stopped("its frames have ended")
        self._signals.wake()

    def check(self) -> None:
        """Raise what ended the loop."""
        if self._error is not None:
            raise self._error
