"""Where alerts go, one file a kind of sink."""

from __future__ import annotations

from typing import Protocol

from semedge.alert import Alert


class Sink(Protocol):
    """A receiver of alerts.

    Every alert is delivered at least once: after a crash between the delivery and its record in
    the journal, it comes a second time with the same `event_id`.
    """

    @property
    def name(self) -> str:
        """Name under which the journal keeps what is still to be delivered."""

    def deliver(self, alert: Alert) -> None:
        """Hand the alert over; raises `SemedgeError` or `OSError` where it was not taken."""
