"""What commands print: documents and tables to stdout, progress to stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from semedge.core.logs import structured

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

logger = logging.getLogger(__name__)

PROGRESS_EVERY_S = 10.0

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
    """Yield `items`, and show on stderr how many are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with shown_progress() as step:
        for item in items:
            yield item
            step(label, total)


@contextmanager
def shown_progress() -> Iterator[Callable[[str, int | None], None]]:
    """A function to call after each step, with the name of the stage and its steps where known.

    Shows a bar for each stage on stderr where that is a terminal, and otherwise a line every 10 s.
    """
    if sys.stderr is None or not sys.stderr.isatty() or structured():
        yield _ProgressLines().step
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def step(stage: str, total: int | None = None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.advance(tasks[stage])

        yield step


class _ProgressLines:
    """Logs how far a stage is, at most every 10 s."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._logged_s = time.monotonic()

    def step(self, stage: str, total: int | None = None) -> None:
        """Count one step of a stage."""
        self._done[stage] = self._done.get(stage, 0) + 1
        now_s = time.monotonic()
        if now_s - self._logged_s >= PROGRESS_EVERY_S:
            self._logged_s = now_s
            of = "" if total is None else f" of {total:,}"
            logger.info(f"{stage}: {self._done[stage]:,}{of}", extra={"event": "progress"})
