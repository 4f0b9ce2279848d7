"""`semedge collect`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from semedge.cameras import CameraSettings, open_camera
from semedge.commands.camera_options import camera_options
from semedge.commands.setting_options import GivenSettings, pass_given
from semedge.core.console import shown_progress
from semedge.learning.collect import CollectPlan, collect_frames
from semedge.learning.frame_store import FrameStore
from semedge.learning.screening import Screening, named

logger = logging.getLogger(__name__)

SECONDS_PER_MINUTE = 60


@click.command()
@click.option("--camera", "source", required=True, metavar="SOURCE", help="The camera.")
@click.option("--frames", type=click.IntRange(1), help="Frames to collect.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Longest time.")
@click.option(
    "--every-s",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Least time between two frames.",
)
@click.option(
    "--changed",
    is_flag=True,
    help="Leave out frames that are dark, white or repeat the one before.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="A new folder, or one that was begun with the same camera.",
)
@camera_options
@pass_given
def collect(
    given: GivenSettings,
    source: str,
    frames: int | None,
    minutes: float | None,
    every_s: float,
    changed: bool,
    out: Path,
) -> None:
    """Collect frames of a camera as lossless files.

    Each frame is a PNG file of full bit depth. The file frames.jsonl in the folder has the camera
    and the time of each. An interrupted collection goes on when the command is run again.
    """
    settings = given.over(CameraSettings())
    screening = Screening() if changed else None
    with open_camera(source, settings=settings) as camera, shown_progress() as show:
        if frames is None and minutes is None and not camera.ends:
            raise click.UsageError(f"{camera.source} has no end; give --frames N or --minutes M.")
        store = FrameStore(out, camera.source)
        plan = CollectPlan(
            frames,
            None if minutes is None else minutes * SECONDS_PER_MINUTE,
            every_s,
            continues=camera.live,
        )
        collect_frames(camera, store, plan, screening, lambda: show("Collecting", frames))
    if screening is not None and screening.left_out:
        logger.info(f"Left out {len(screening.left_out)}: {named(screening.left_out)}.")
    logger.info(f"{out} has {len(store)} frames of {store.camera}.")
