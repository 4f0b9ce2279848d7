"""What a call of the command line within the tests' process gives; the fixture `call` makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


Call = Callable[..., Result]
