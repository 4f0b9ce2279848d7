"""Collecting frames of a camera: what `semedge collect` and `semedge learn` have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from semedge.cameras import Camera
from semedge.core.console import shown_progress
from semedge.learning.collect import CollectPlan, collect_frames
from semedge.learning.frame_store import FrameStore
from semedge.learning.screening import Screening

Command = Callable[..., Any]

SECONDS_PER_MINUTE = 60


def pace_options(command: Command) -> Command:
    """Add `--minutes` and `--every-s`; their values are passed to the command."""
    command = click.option(
        "--every-s",
        type=click.FloatRange(0),
        default=0.0,
        metavar="SECONDS",
        help="Shortest time between two frames.",
    )(command)
    return click.option(
        "--minutes", type=click.FloatRange(0, min_open=True), help="Longest time to collect."
    )(command)


def collect(
    camera: Camera,
    store: FrameStore,
    screening: Screening | None,
    frames: int | None,
    minutes: float | None,
    every_s: float,
) -> None:
    """Collect frames of a camera into a folder, which may have some already."""
    seconds = None if minutes is None else minutes * SECONDS_PER_MINUTE
    plan = CollectPlan(frames, seconds, every_s, continues=camera.live)
    with shown_progress() as show:
        collect_frames(camera, store, plan, screening, lambda: show("Collecting", frames))
