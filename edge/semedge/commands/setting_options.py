"""Options for keys of the station file, and their precedence.

A flag overrides its `SEMEDGE_*` variable, by click, and both override the file, which
`GivenSettings.over` implements for every command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from click.core import ParameterSource
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from semedge.core.errors import SemedgeError
from semedge.core.section import Section
from semedge.station.config.faults import refused_value

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
OptionMaker = Callable[..., Decorator]
"""`field_option` or `setting_option`."""

AnySection = TypeVar("AnySection", bound=Section)

FILE = click.Path(dir_okay=False, path_type=Path)
BY_A_PERSON = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


class GivenSettings:
    """Values of keys of the station file that were given by flags and variables."""

    def __init__(self) -> None:
        self._values: dict[tuple[type[Section], str], Any] = {}

    def add(self, table: type[Section], key: str, value: Any) -> None:
        """Record the value that was given for a key of a table."""
        self._values[table, key] = value

    def over(self, section: AnySection) -> AnySection:
        """A table, or the whole station file, overridden by the given values.

        Raises `SemedgeError` where a table cannot have a given value.
        """
        given = {
            key: value for (table, key), value in self._values.items() if isinstance(section, table)
        }
        written = {name: getattr(section, name) for name in section.model_fields_set}
        tables = {name: self.over(each) for name, each in section if isinstance(each, Section)}
        try:
            return type(section).model_validate({**written, **tables, **given})
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(str(part) for part in fault["loc"])
            raise SemedgeError(refused_value(name, fault)) from error


pass_given = click.make_pass_decorator(GivenSettings, ensure=True)
"""Passes the `GivenSettings` of a command as its first argument."""


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether a person gave this parameter, in a flag or in a variable."""
    return ctx.get_parameter_source(name) in BY_A_PERSON


def field_option(table: type[Section], key: str, *names: str, **attributes: Any) -> Decorator:
    """An option with the type, the bounds and the description of a key of the station file.

    Its value is passed to the command. `attributes` are those of `click.option`, and win.
    """
    field = table.model_fields[key]
    description = field.description or ""
    if attributes.get("multiple"):
        description = f"{description.removesuffix('.')}; repeatable."
    if field.annotation is bool:
        attributes = {"is_flag": True, **attributes}
    else:
        shown = field.default not in (None, ())
        attributes = {"default": field.default, "show_default": shown, **attributes}
    return click.option(*names, **{"help": description, "type": _click_type(field), **attributes})


def setting_option(table: type[Section], key: str, *names: str, **attributes: Any) -> Decorator:
    """Like `field_option`, but the value is added to `GivenSettings`."""

    def take(ctx: click.Context, option: click.Parameter, value: Any) -> None:
        if ctx.get_parameter_source(option.name or "") not in BY_A_PERSON:
            return
        try:
            table.model_validate({key: value})
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise click.BadParameter(f"{value!r} is not allowed ({reason}).") from error
        ctx.ensure_object(GivenSettings).add(table, key, value)

    return field_option(table, key, *names, expose_value=False, callback=take, **attributes)


def _click_type(field: FieldInfo) -> click.ParamType | type:
    """The type of a value, with the bounds that the help shows."""
    kinds = {field.annotation, *get_args(field.annotation)}
    bounds = _bounds(field)
    if Path in kinds:
        return click.Path(path_type=Path)
    if int in kinds:
        return click.IntRange(**bounds) if bounds else int
    if float in kinds:
        return click.FloatRange(**bounds) if bounds else float
    return bool if bool in kinds else str


def _bounds(field: FieldInfo) -> dict[str, Any]:
    """The field's bounds, by the names of click's ranges."""
    bounds: dict[str, Any] = {}
    for constraint in field.metadata:
        for name, limit in (("ge", "min"), ("gt", "min"), ("le", "max"), ("lt", "max")):
            if (value := getattr(constraint, name, None)) is not None:
                bounds |= {limit: value, f"{limit}_open": name in ("gt", "lt")}
    return bounds
