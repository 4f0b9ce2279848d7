"""What commands print: documents and tables to stdout, progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from semedge.core.logs import structured

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

TABLE_WIDTH = 140
"""Width of a table, in characters, where stdout is not a terminal."""


def print_json(document: Any) -> None:
    """Print one JSON document on one line to stdout, and flush it."""
    click.echo(json.dumps(document, allow_nan=False))


def table_console() -> Console:
    """Where tables are printed: stdout, 140 characters wide where it is not a terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    return console


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, with a progress bar on stderr where stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty() or structured():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        items, description=label, total=total, console=Console(stderr=True), transient=True
    )
