"""Errors of values of the station file, each as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from semedge.core.redact import redact
from semedge.core.section import table_of

LONGEST = 200
"""Characters of a value that the sentence repeats."""


def refused_value(name: str, fault: ErrorDetails) -> str:
    """The sentence for a value of the key `name` that pydantic refused, without passwords."""
    reason = fault["msg"].removeprefix("Value error, ")
    received = redact(repr(fault["input"]))[:LONGEST]
    return f"{name} = {received} is not allowed ({reason}); correct it."


def key_hint(where: Sequence[str], table: type[BaseModel]) -> str:
    """A suggestion for an unknown key; `where` is the path to it from `table`."""
    for part in where[:-1]:
        table = table_of(table.model_fields[part].annotation)
    near = get_close_matches(where[-1], table.model_fields, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(table.model_fields)}."
