"""Where events go, one file a kind of sink."""

from __future__ import annotations

from typing import Protocol

from semedge.core.errors import SemedgeError
from semedge.core.event import Event


class DeliveryError(SemedgeError):
    """The receiver did not take the event; it is tried again, and later ones wait their turn."""


class RejectedError(DeliveryError):
    """The receiver will never take this event; it is set aside, and later ones go out."""


class Sink(Protocol):
    """A receiver of events.

    Each sink has a thread of its own, which delivers the events in the order of their numbers.
    Every event is delivered at least once: after a crash between the delivery and its record in
    the journal, it comes a second time with the same `key`.
    """

    @property
    def name(self) -> str:
        """Name under which the journal keeps what is still to be delivered."""

    def deliver(self, event: Event) -> None:
        """Hand the event over; on return the receiver has it.

        Ends within a time limit of the sink's own. Raises `RejectedError` where it will never be
        taken; any other exception means that it was not taken this time.
        """

    def close(self) -> None:
        """Give back what the sink holds; called once, after the last delivery."""
