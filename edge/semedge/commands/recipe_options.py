"""Options of commands that write a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]

version_option = click.option(
    "--recipe-version",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number that rises with every change of the recipe.",
)
"""The option `--recipe-version`."""


def name_option(*, required: bool) -> Callable[[Command], Command]:
    """The option `--name`."""
    return click.option("--name", required=required, help="Name of the product or the process.")


def identity_options(command: Command) -> Command:
    """Add `--name` and `--recipe-version`; their values are passed to the command."""
    return name_option(required=True)(version_option(command))
