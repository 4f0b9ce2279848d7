"""The kinds of sinks of the station file, and how they are opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, PlainValidator, TypeAdapter

from semedge.core.errors import SemedgeError
from semedge.core.plugins import Plugins
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
"""The tables of the kinds of sinks; a sink's libraries are imported when it is opened."""


def _kind_of(section: type[SinkSection]) -> str | None:
    """The only value of the field `kind`; None where there is no such field."""
    field = section.model_fields.get("kind")
    words = () if field is None else get_args(field.annotation)
    return words[0] if len(words) == 1 else None


KINDS: dict[str, type[SinkSection]] = {
    str(_kind_of(section)): section for section in get_args(AnySection)
}
"""semedge's own kinds of sinks, and their tables."""

PLUGINS = Plugins("semedge.sinks", "sink", own=KINDS)
"""Kinds of sinks that other packages provide; docs/how-to/new-sink.md shows how."""


def section_of_kind(kind: str) -> type[SinkSection]:
    """The table of a kind of sink, such as `webhook`; that of a package is imported only here."""
    if kind in KINDS:
        return KINDS[kind]
    section: type[SinkSection] = PLUGINS.load(kind, SinkSection)
    if _kind_of(section) != kind:
        raise SemedgeError(
            f"The sink {kind} of the package {PLUGINS.package_of(kind)} has no field kind of the "
            f'type Literal["{kind}"]; give {section.__name__} one.'
        )
    return section


def _reader_of(sections: Any) -> TypeAdapter[SinkSection]:
    return TypeAdapter(Annotated[sections, Field(discriminator="kind")])


_OWN = _reader_of(AnySection)


def _read_section(table: Any) -> SinkSection:
    """The table `[sinks.NAME]`, as an instance of the class of its kind."""
    kind = table.get("kind") if isinstance(table, dict) else None
    if isinstance(kind, str) and kind not in KINDS and kind in PLUGINS.names():
        return _reader_of(AnySection | section_of_kind(kind)).validate_python(table)
    return _OWN.validate_python(table)


SinkChoice = Annotated[SinkSection, PlainValidator(_read_section)]


def open_sinks(sections: Mapping[str, SinkSection]) -> list[Sink]:
    """The sinks of the tables `[sinks.NAME]`, each with a filter for the events of its table."""
    sinks: list[Sink] = []
    try:
        for name, section in sections.items():
            sinks.append(ChosenEvents(_open(name, section), section))
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks


def _open(name: str, section: SinkSection) -> Sink:
    try:
        return section.open(name)
    except SemedgeError:
        raise
    except Exception as error:
        kind = _kind_of(type(section))
        if kind is None or kind in KINDS:
            raise
        raise PLUGINS.failure(kind, f"open as {name}", error) from error
