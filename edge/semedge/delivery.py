"""The thread that carries alerts from the journal to the sinks."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence

from semedge.console import say
from semedge.errors import SemedgeError
from semedge.journal import Journal
from semedge.sinks import Sink

BATCH_ALERTS = 50
"""Alerts read from the journal at a time, so that a long outage does not fill the memory."""

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 60.0
FLUSH_TIMEOUT_S = 3.0


class Delivery:
    """One thread that delivers what the journal holds for each sink, and tries again what failed.

    The journal is the only queue: an alert that an earlier run left undelivered goes out as
    soon as the thread starts.

    Parameters
    ----------
    journal
        Read for pending alerts, and told of each attempt.
    sinks
        Receivers, each with a name of its own.
    """

    def __init__(self, journal: Journal, sinks: Sequence[Sink]) -> None:
        self._journal = journal
        self._outlets = [_Outlet(sink) for sink in sinks]
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._broken: Exception | None = None
        self._stop_at_s = math.inf

    @property
    def sink_names(self) -> list[str]:
        """Names that an alert is stored for."""
        return [outlet.sink.name for outlet in self._outlets]

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Say that the journal holds a new alert."""
        self._news.set()

    def check(self) -> None:
        """Raise what ended the thread: a `SemedgeError` where the journal could not be used."""
        if self._broken is not None:
            raise self._broken

    def close(self) -> None:
        """Try everything pending once more, for at most `FLUSH_TIMEOUT_S`, and end the thread."""
        self._stop_at_s = time.monotonic() + FLUSH_TIMEOUT_S
        self._closing.set()
        self._news.set()
        self._thread.join(FLUSH_TIMEOUT_S)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._news.clear()
                for outlet in self._outlets:
                    while outlet.is_due() and self._deliver_batch(outlet):
                        pass
                self._news.wait(self._pause_s())
            for outlet in self._outlets:
                while self._deliver_batch(outlet):
                    pass
        except Exception as error:  # handed to the loop's thread, which raises it in `check`
            self._broken = error

    def _pause_s(self) -> float:
        """Time until the next retry is due."""
        return max(0.0, min(outlet.retry_at_s for outlet in self._outlets) - time.monotonic())

    def _deliver_batch(self, outlet: _Outlet) -> bool:
        """Deliver a batch; True where it was a full one and all went out, so more may be there."""
        alerts = self._journal.pending(outlet.sink.name, BATCH_ALERTS)
        for alert in alerts:
            if time.monotonic() > self._stop_at_s:
                return False
            try:
                outlet.sink.deliver(alert)
            except (SemedgeError, OSError) as error:
                self._journal.mark_failed(alert.event_id, outlet.sink.name, str(error))
                outlet.failed(str(error))
                return False
            self._journal.mark_delivered(alert.event_id, outlet.sink.name)
            outlet.delivered()
        outlet.rest()
        return len(alerts) == BATCH_ALERTS


class _Outlet:
    """A sink and when to try it again."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.retry_at_s = 0.0
        self._failures = 0

    def is_due(self) -> bool:
        return self._failures == 0 or time.monotonic() >= self.retry_at_s

    def rest(self) -> None:
        self.retry_at_s = time.monotonic() + LONGEST_RETRY_S

    def failed(self, reason: str) -> None:
        if self._failures == 0:
            say(f"Alerts wait: {self.sink.name} did not take one ({reason}); trying again.")
        pause_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self.retry_at_s = time.monotonic() + pause_s

    def delivered(self) -> None:
        if self._failures:
            say(f"Alerts go out to {self.sink.name} again.")
        self._failures = 0
