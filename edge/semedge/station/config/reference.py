"""The reference of the station file, generated from the descriptions of its fields.

`python -m semedge.station.config.reference` prints it.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from semedge.core.section import Secret, WrittenAs, table_of
from semedge.sinks.registry import AnySection
from semedge.station.config.sections import NamedCameraSection
from semedge.station.config.station import Station

HEAD = """\
# The station file

The settings of `semedge.toml`. Flags override `SEMEDGE_*` variables, and these override the file.
Relative paths start at the folder of the file. Unknown keys are refused. This page is the output of
`python -m semedge.station.config.reference`.
"""


def station_reference() -> str:
    """The page `docs/reference/station-file.md`."""
    parts = [HEAD]
    for name, field in Station.model_fields.items():
        if name not in ("cameras", "sinks"):
            parts.append(_section(f"[{name}]", table_of(field.annotation)))
    parts.append(_section("[cameras.NAME]", NamedCameraSection))
    for section in get_args(AnySection):
        kind = get_args(section.model_fields["kind"].annotation)[0]
        parts.append(_section(f'[sinks.NAME] with kind = "{kind}"', section))
    return "\n".join(parts)


def _section(title: str, model: type[BaseModel]) -> str:
    summary = (model.__doc__ or "").strip().splitlines()[0].partition(": ")[2]
    summary = f"{summary[:1].upper()}{summary[1:]}"
    rows = "\n".join(_rows(model))
    head = "| key | type | default | meaning |\n|---|---|---|---|"
    return f"## `{title}`\n\n{summary}\n\n{head}\n{rows}\n"


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {_written_as(field)} | {_default(field)} | {meaning} |"


def _written_as(field: FieldInfo) -> str:
    marks = (mark.type_name for mark in field.metadata if isinstance(mark, WrittenAs))
    return next(marks, None) or _type_name(field.annotation)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"`{value}`"


def _type_name(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type_name(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return " or ".join(
            _type_name(each) for each in get_args(annotation) if each is not types.NoneType
        )
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in get_args(annotation))
    if origin in (tuple, list):
        return f"list of {_type_name(get_args(annotation)[0])}"
    if origin is dict:
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "secret" if annotation is Secret else "table"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    return names.get(annotation.__name__, annotation.__name__.lower())


if __name__ == "__main__":
    print(station_reference(), end="")
