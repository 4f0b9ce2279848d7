"""What commands print: documents to stdout, words and progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import click

T = TypeVar("T")


def say(message: str) -> None:
    """Print a line for people to stderr."""
    click.echo(message, err=True)


def print_json(document: Any) -> None:
    """Print one JSON document on one line to stdout, at once."""
    click.echo(json.dumps(document, allow_nan=False))


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, with a bar on stderr where stderr is a terminal and nothing elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        items, description=label, total=total, console=Console(stderr=True), transient=True
    )
