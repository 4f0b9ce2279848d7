"""The interface of sinks, which receive events."""

from __future__ import annotations

from typing import Protocol

from semedge.core.errors import SemedgeError
from semedge.core.event import Event


class DeliveryError(SemedgeError):
    """The receiver did not accept the event; it is sent again, before any later one.

    Attributes
    ----------
    retry_after_s
        Shortest pause that the receiver wishes before the next attempt.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RejectedError(DeliveryError):
    """The receiver will never accept this event; it is skipped, and later ones are sent."""


class Sink(Protocol):
    """A receiver of events.

    Each sink has a thread, which delivers the events in the order of their numbers.
    Every event is delivered at least once: after a crash between the delivery and its record in
    the journal, it comes a second time with the same `key`.
    """

    @property
    def name(self) -> str:
        """Name under which the journal stores pending deliveries."""

    def deliver(self, event: Event) -> None:
        """Deliver the event; on return the receiver has it.

        Ends within a time limit that the sink sets. Raises `RejectedError` where the event will
        never be accepted; any other exception means that this attempt failed.
        """

    def close(self) -> None:
        """Release what the sink uses; called once, after the last delivery."""
