"""Strict reading of a JSON object, field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from semedge_calibration.errors import CalibrationError


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in `text`; NaN and Infinity are refused."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise CalibrationError(f"it is not a JSON document ({reason})") from error
    if not isinstance(value, dict):
        raise CalibrationError(f"it is not a JSON object but a {type(value).__name__}")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


class Reader:
    """Takes fields out of an object, and checks their types.

    Every method raises `CalibrationError` with the field, what it must be, and its value.
    """

    def __init__(self, fields: Mapping[str, Any], within: str = "") -> None:
        self._fields = dict(fields)
        self._within = within

    def finish(self) -> None:
        """Raise where fields are left, which are unknown."""
        if self._fields:
            raise CalibrationError(f"unknown fields {sorted(self._fields)}")

    def has(self, name: str) -> bool:
        """Whether an optional field is there."""
        return name in self._fields

    def take(self, name: str) -> Any:
        """The value of a required field."""
        if name not in self._fields:
            raise CalibrationError(f"{self._within}{name} is missing")
        return self._fields.pop(name)

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.take(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        try:
            number = float(value)
        except OverflowError as error:
            raise self._wrong(name, "a finite number", value) from error
        if not math.isfinite(number):
            raise self._wrong(name, "a finite number", value)
        return number

    def share(self, name: str) -> float:
        """A number strictly between 0 and 1."""
        number = self.number(name)
        if not 0 < number < 1:
            raise self._wrong(name, "a number between 0 and 1", number)
        return number

    def count(self, name: str) -> int:
        """A positive whole number."""
        value = self.take(name)
        if not _is_count(value):
            raise self._wrong(name, "a whole number of at least 1", value)
        return int(value)

    def text(self, name: str) -> str:
        """A string that is not empty."""
        value = self.take(name)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, "a string", value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.take(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of strings", value)
        return tuple(value)

    def height_width(self, name: str) -> tuple[int, int]:
        """Two whole numbers, height and width."""
        value = self.take(name)
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_count, value)):
            raise self._wrong(name, "a height and a width", value)
        return value[0], value[1]

    def inner(self, name: str) -> Reader:
        """A reader of the object in a field."""
        value = self.take(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return Reader(value, within=f"{self._within}{name}.")

    def names(self) -> list[str]:
        """Names of the fields not yet taken."""
        return list(self._fields)

    def is_null(self, name: str) -> bool:
        """Whether the field is present and null; if so it is taken."""
        if name in self._fields and self._fields[name] is None:
            del self._fields[name]
            return True
        return False

    def _wrong(self, name: str, wanted: str, value: object) -> CalibrationError:
        shown = f"{value!r:.60}" if not isinstance(value, int) else _shown_integer(value)
        return CalibrationError(f"{self._within}{name} must be {wanted}, and is {shown}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**53


def _shown_integer(value: int) -> str:
    return repr(value) if abs(value) < 2**63 else "too large"
