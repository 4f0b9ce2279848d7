"""A station file to begin with: every setting with its description, commented out."""

from __future__ import annotations

import json
import textwrap
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from semedge.core.section import table_of
from semedge.sinks.registry import AnySection
from semedge.station.config.station import Station

WIDTH = 92
HEAD = """\
# A station of semedge. Lines that begin with "# " and a key show the default or an example; take
# the "# " away to change them. docs/reference/station-file.md has the same settings as tables.
# Try it: semedge watch --station {name}
"""


def station_template(name: str, given: Mapping[str, Mapping[str, str]]) -> str:
    """The text of a station file.

    Parameters
    ----------
    name
        Name of the file, for its first lines.
    given
        Values that are not commented out, by table and key.
    """
    parts = [HEAD.format(name=name)]
    for table, field in Station.model_fields.items():
        if table in ("cameras", "sinks"):
            continue
        model = table_of(field.annotation)
        values = given.get(table, {})
        # The page has its table only where it is wanted; other tables may stand there empty.
        title = f"[{table}]" if values or table != "web" else f"# [{table}]"
        parts.append(_table(title, model, values))
    for section in get_args(AnySection):
        kind = get_args(section.model_fields["kind"].annotation)[0]
        parts.append(_table(f"# [sinks.{kind}]", section, {}))
    return "\n".join(parts)


def _table(title: str, model: type[BaseModel], given: Mapping[str, str]) -> str:
    summary = (model.__doc__ or "").strip().splitlines()[0].partition(": ")[2]
    lines = [f"# {summary[:1].upper()}{summary[1:]}", title]
    for key, field in model.model_fields.items():
        lines += _comment(field.description or "")
        if key in given:
            lines.append(f"{key} = {json.dumps(given[key], ensure_ascii=False)}")
        else:
            lines.append(f"# {key} = {_example(field)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, WIDTH):
        yield f"#   {line}"


def _example(field: FieldInfo) -> str:
    """The default in TOML, or a placeholder where there is none."""
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel):
        return _placeholder(field.annotation)
    return _toml(value)


def _placeholder(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return json.dumps(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(each for each in get_args(annotation) if each is not types.NoneType)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return '{ env = "NAME" }'
    if annotation is bool:
        return "false"
    if annotation in (int, float):
        return "0"
    if get_origin(annotation) in (tuple, list):
        return "[]"
    return "{}" if get_origin(annotation) is dict else '""'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
