"""The threads that deliver events from the journal to the sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from semedge.core.backoff import Backoff
from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.parts import Parts, reason_of
from semedge.journal.journal import Journal
from semedge.sinks.base import DeliveryError, RejectedError, Sink
from semedge.state.snapshot import SinkState

logger = logging.getLogger(__name__)

BATCH_EVENTS = 50
"""Events read from the journal at a time, so that a long outage does not fill the memory."""

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 60.0
FLUSH_TIMEOUT_S = 1.0
LONGEST_STEP_S = 300.0
"""Longest time without a delivery that is no fault: a slow attempt, and the pause after it."""


class Delivery:
    """Delivers the pending events of the journal to each sink, in order, and retries failures.

    The journal is the only queue: an event that an earlier run left undelivered is delivered as
    soon as the threads start. Each sink has a thread, so that one which fails or hangs delays no
    other, and never the inspection.

    Parameters
    ----------
    journal
        Journal with the pending events, where each attempt is recorded.
    sinks
        Receivers, each with a different name.
    parts
        Shows which deliveries fail for a reason other than their sink's.
    """

    def __init__(self, journal: Journal, sinks: Sequence[Sink], parts: Parts | None = None) -> None:
        parts = parts or Parts()
        self._outlets = [_Outlet(journal, sink, parts) for sink in sinks]

    @property
    def sink_names(self) -> list[str]:
        """Names of the sinks, for which events are stored."""
        return [outlet.sink.name for outlet in self._outlets]

    def start(self) -> None:
        """Start to deliver."""
        for outlet in self._outlets:
            outlet.thread.start()

    def wake(self) -> None:
        """Notify the threads of a new event in the journal."""
        for outlet in self._outlets:
            outlet.news.set()

    def states(self) -> tuple[SinkState, ...]:
        """State of the deliveries to each sink."""
        return tuple(outlet.state() for outlet in self._outlets)

    def close(self) -> None:
        """Retry all pending deliveries for at most `FLUSH_TIMEOUT_S`, and end the threads.

        A sink that hangs is not waited for: its thread ends with the process.
        """
        until_s = time.monotonic() + FLUSH_TIMEOUT_S
        for outlet in self._outlets:
            outlet.finish(until_s)
        for outlet in self._outlets:
            outlet.thread.join(max(0.0, until_s - time.monotonic()))


class _Outlet:
    """A sink, its thread, and the time of its next attempt."""

    def __init__(self, journal: Journal, sink: Sink, parts: Parts) -> None:
        self.sink = sink
        self._parts = parts
        self._part = f"delivery to {sink.name}"
        self.news = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"delivery-{sink.name}", daemon=True)
        self._journal = journal
        self._closing = threading.Event()
        self._stop_at_s = 0.0
        self._since_s: float | None = None
        self._delivered = self._rejected = self._failures = 0
        self._last_error: str | None = None
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        self._wished_s = 0.0
        self._journal_reported = False

    def state(self) -> SinkState:
        since_s = self._since_s
        return SinkState(
            self.sink.name,
            self._delivered,
            self._rejected,
            self._failures,
            self._last_error,
            0.0 if since_s is None else time.monotonic() - since_s,
        )

    def finish(self, until_s: float) -> None:
        self._stop_at_s = until_s
        self._closing.set()
        self.news.set()

    def _run(self) -> None:
        try:
            self._parts.repeat(self._part, self._step, self._closing, hang_after_s=LONGEST_STEP_S)
            self._deliver_pending()
        finally:
            self.sink.close()

    def _step(self) -> None:
        self.news.clear()
        pause_s = self._deliver_pending()
        if self._failures:
            # A new event is no reason to retry a failing receiver earlier.
            self._closing.wait(pause_s)
        else:
            self.news.wait(pause_s)

    def _deliver_pending(self) -> float:
        """Deliver until nothing is pending or an attempt fails; the pause that follows."""
        try:
            while events := self._journal.pending(self.sink.name, BATCH_EVENTS):
                for event in events:
                    if self._closing.is_set() and time.monotonic() > self._stop_at_s:
                        return 0.0
                    if not self._deliver(event):
                        return max(self._backoff.next_s(), self._wished_s)
                    self._parts.works(self._part)
        except SemedgeError as error:
            if not (self._journal_reported or self._closing.is_set()):
                logger.warning(
                    f"{self.sink.name} waits for the journal: {error}",
                    extra={"event": "journal-unreadable"},
                )
            self._journal_reported = True
            return LONGEST_RETRY_S
        self._journal_reported = False
        return LONGEST_RETRY_S

    def _deliver(self, event: Event) -> bool:
        """Whether the event is settled: accepted, or rejected for good."""
        self._since_s = time.monotonic()
        try:
            self.sink.deliver(event)
        except RejectedError as error:
            self._journal.mark_rejected(event, self.sink.name, str(error))
            self._rejected += 1
            logger.error(
                f"{self.sink.name} rejects event {event.number} for good: {error}",
                extra={"event": "event-rejected"},
            )
            return True
        except Exception as error:  # an error of a sink must not stop the inspection
            reason = reason_of(error)
            if self._failures == 0:
                logger.warning(
                    f"Events are pending: {self.sink.name} did not accept one ({reason}).",
                    extra={"event": "sink-fails"},
                )
            self._failures += 1
            self._last_error = reason
            self._wished_s = error.retry_after_s if isinstance(error, DeliveryError) else 0.0
            self._journal.mark_failed(event, self.sink.name, reason)
            return False
        finally:
            self._since_s = None
        if self._failures:
            logger.info(
                f"Events are delivered to {self.sink.name} again.", extra={"event": "sink-recovers"}
            )
        self._failures, self._last_error = 0, None
        self._backoff.reset()
        self._delivered += 1
        self._journal.mark_delivered(event, self.sink.name)
        return True
