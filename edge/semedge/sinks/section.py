"""What the sinks of the station file share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pydantic import Field

from semedge.core.event import KINDS, Event, Kind, Level, Phase
from semedge.core.section import Section
from semedge.sinks.base import Sink
from semedge.state.requests import RequestHandler
from semedge.state.state import StationState


class SinkSection(Section):
    """A table `[sinks.NAME]`: what kind of sink, and which events it is given.

    A subclass is the table of one kind: it has a field `kind`, a `Literal` of the kind's name, and
    opens the sink.
    """

    kinds: tuple[Kind, ...] = Field(
        default=KINDS, min_length=1, description="Kinds of events that it is given."
    )
    phases: tuple[Phase, ...] = Field(
        default=("start", "update", "end"),
        min_length=1,
        description="Whether it hears of an event's start, its updates and its end.",
    )
    least_level: Level = Field(
        default="warn", description="With `alarm`, it hears nothing of defects that only warn."
    )

    def open(self, name: str) -> Sink:
        """The sink; `SemedgeError` where it cannot be had."""
        raise NotImplementedError

    def wants(self, event: Event) -> bool:
        """Whether the event is for this sink; a test of the delivery always is."""
        if event.kind == "test":
            return True
        if self.least_level == "alarm" and event.level == "warn":
            return False
        return event.kind in self.kinds and event.phase in self.phases


@runtime_checkable
class TwoWaySink(Protocol):
    """A sink that also publishes the station's state and takes requests.

    One that is not attached delivers all the same, as for a test beside a running station.
    """

    def attach(self, state: StationState, handler: RequestHandler) -> None:
        """Begin with that; called once, before the first delivery."""


@dataclass(frozen=True)
class ChosenEvents:
    """A sink that is given the events that its section wants; the others count as delivered."""

    sink: Sink
    section: SinkSection

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.sink.name

    def attach(self, state: StationState, handler: RequestHandler) -> None:
        """Let the sink publish the state and take requests, where it can."""
        if isinstance(self.sink, TwoWaySink):
            self.sink.attach(state, handler)

    def deliver(self, event: Event) -> None:
        """Hand the event over where it is wanted."""
        if self.section.wants(event):
            self.sink.deliver(event)

    def close(self) -> None:
        """Close the sink."""
        self.sink.close()
