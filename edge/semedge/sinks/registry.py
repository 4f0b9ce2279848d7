"""The sinks that a station file can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, get_args

from pydantic import Field

from semedge.sinks.apprise import AppriseSection
from semedge.sinks.base import Sink
from semedge.sinks.command import CommandSection
from semedge.sinks.email import EmailSection
from semedge.sinks.modbus import ModbusSection
from semedge.sinks.mqtt import MqttSection
from semedge.sinks.opcua import OpcUaSection
from semedge.sinks.section import ChosenEvents, SinkSection
from semedge.sinks.webhook import WebhookSection

AnySection = (
    AppriseSection
    | CommandSection
    | EmailSection
    | ModbusSection
    | MqttSection
    | OpcUaSection
    | WebhookSection
)
"""The tables of the kinds of sinks; a sink's package is imported when it is opened."""

SinkChoice = Annotated[AnySection, Field(discriminator="kind")]


def section_of_kind(kind: str) -> type[SinkSection]:
    """The table of a kind of sink, such as `webhook`."""
    sections: tuple[type[SinkSection], ...] = get_args(AnySection)
    (found,) = (
        each for each in sections if get_args(each.model_fields["kind"].annotation) == (kind,)
    )
    return found


def open_sinks(sections: Mapping[str, AnySection]) -> list[Sink]:
    """The sinks of the tables `[sinks.NAME]`, each given the events that its table wants."""
    sinks: list[Sink] = []
    try:
        for name, section in sections.items():
            sinks.append(ChosenEvents(section.open(name), section))
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks
