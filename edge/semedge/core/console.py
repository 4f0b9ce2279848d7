"""What commands print: documents to stdout, words and progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

Level = Literal["info", "warning", "error"]

T = TypeVar("T")

_structured: Callable[[str, Level, str], str] | None = None

TABLE_WIDTH = 140
"""Characters a line of a table where stdout is no terminal."""


def say(message: str, *, level: Level = "info", event: str = "note") -> None:
    """Print a line for people to stderr, or a JSON document where logs are structured.

    Parameters
    ----------
    message
        A sentence.
    level
        What it asks for: nothing, attention, or help.
    event
        What happened, as a word that a log's reader can look for: it stays when the sentence
        changes. `docs/operation.md` lists the words of the station.
    """
    if _structured is None:
        click.echo(message if level == "info" else f"{level.title()}: {message}", err=True)
    else:
        click.echo(_structured(message, level, event), err=True)


def structure_lines(line_of: Callable[[str, Level, str], str] | None) -> None:
    """From now on, print `line_of(message, level, event)`; None prints sentences again."""
    global _structured
    _structured = line_of


def print_json(document: Any) -> None:
    """Print one JSON document on one line to stdout, at once."""
    click.echo(json.dumps(document, allow_nan=False))


def table_console() -> Console:
    """Where tables are printed: stdout, in lines of 140 characters where it is no terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    return console


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, with a bar on stderr where stderr is a terminal and nothing elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty() or _structured is not None:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        items, description=label, total=total, console=Console(stderr=True), transient=True
    )
