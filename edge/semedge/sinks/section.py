"""What the tables of the sinks share, and the filter of their events."""

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
    """A table `[sinks.NAME]`: the kind of the sink, and which events it gets.

    A subclass is the table of one kind: it has a field `kind`, a `Literal` of the kind's name, and
    opens the sink.
    """

    kinds: tuple[Kind, ...] = Field(
        default=KINDS, min_length=1, description="Kinds of events that it gets."
    )
    phases: tuple[Phase, ...] = Field(
        default=("start", "update", "end"),
        min_length=1,
        description="Phases of an event that it gets: its start, its updates and its end.",
    )
    least_level: Level = Field(
        default="warn", description="With `alarm`, it gets no defects that only warn."
    )

    def open(self, name: str) -> Sink:
        """The sink; `SemedgeError` where it cannot be opened."""
        raise NotImplementedError

    def wants(self, event: Event) -> bool:
        """Whether the sink gets the event; it always gets a test."""
        if event.kind == "test":
            return True
        if self.least_level == "alarm" and event.level == "warn":
            return False
        return event.kind in self.kinds and event.phase in self.phases


@runtime_checkable
class TwoWaySink(Protocol):
    """A sink that also publishes the station's state and takes requests.

    A sink that is not attached still delivers, as in a test beside a running station.
    """

    def attach(self, state: StationState, handler: RequestHandler) -> None:
        """Start to publish the state and take requests; called once, before the first delivery."""


@dataclass(frozen=True)
class ChosenEvents:
    """A sink that gets only the events that its section wants; others count as delivered."""

    sink: Sink
    section: SinkSection

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.sink.name

    def attach(self, state: StationState, handler: RequestHandler) -> None:
        """Attach the sink where it is a `TwoWaySink`."""
        if isinstance(self.sink, TwoWaySink):
            self.sink.attach(state, handler)

    def deliver(self, event: Event) -> None:
        """Deliver the event where the section wants it."""
        if self.section.wants(event):
            self.sink.deliver(event)

    def close(self) -> None:
        """Close the sink."""
        self.sink.close()
