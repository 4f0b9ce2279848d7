"""Options of commands that score frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def stride_option(parameter: str = "stride_px", envvar: str | None = None) -> Decorator:
    """`--stride`, which the command gets as `parameter`: pixels, or None for the detector's own."""
    return click.option(
        "--stride",
        parameter,
        type=click.IntRange(min=1),
        envvar=envvar,
        metavar="PX",
        help="Distance between patches; the detector's own where absent.",
    )


def workers_option(envvar: str | None = None) -> Decorator:
    """`--workers`: threads, or None for all cores."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        envvar=envvar,
        metavar="N",
        help="Scoring threads; all cores where absent.",
    )
