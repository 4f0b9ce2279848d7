"""Options of commands that use the journal of a station, whether it runs or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from semedge.commands.setting_options import FILE
from semedge.core.errors import SemedgeError
from semedge.journal.records import DEFAULT_JOURNAL

Command = Callable[..., Any]


def journal_options(station_help: str) -> Callable[[Command], Command]:
    """Add `--station`, with this help, and `--journal`; their values are passed to the command."""

    def add(command: Command) -> Command:
        for option in (
            click.option(
                "--journal",
                type=FILE,
                envvar="SEMEDGE_JOURNAL",
                show_default=str(DEFAULT_JOURNAL),
                metavar="FILE",
                help="The journal, in place of a station file; a watch may be writing to it.",
            ),
            click.option(
                "--station",
                type=FILE,
                envvar="SEMEDGE_STATION",
                metavar="FILE",
                help=station_help,
            ),
        ):
            command = option(command)
        return command

    return add


def check_journal(journal: Path) -> Path:
    """The journal; `SemedgeError` where there is none."""
    if not journal.exists():
        raise SemedgeError(
            f"There is no journal {journal} yet; `semedge watch` creates it. Name another one with "
            "--journal or --station."
        )
    return journal
