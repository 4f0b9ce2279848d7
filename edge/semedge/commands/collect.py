"""`semedge collect`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from semedge.cameras import CameraSettings, open_camera
from semedge.commands import collecting
from semedge.commands.camera_options import camera_options
from semedge.commands.collecting import pace_options
from semedge.commands.setting_options import GivenSettings, pass_given
from semedge.learning.frame_store import FrameStore
from semedge.learning.screening import Screening, named

logger = logging.getLogger(__name__)


@click.command()
@click.option("--camera", "source", required=True, metavar="SOURCE", help="The camera.")
@click.option("--frames", type=click.IntRange(1), help="Frames to collect.")
@pace_options
@click.option(
    "--changed",
    is_flag=True,
    help="Leave out frames that are dark or white, or that repeat the one before.",
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
    and the time of each. An interrupted collection continues when the command is run again.
    """
    settings = given.over(CameraSettings())
    screening = Screening() if changed else None
    with open_camera(source, settings=settings) as camera:
        if frames is None and minutes is None and not camera.ends:
            raise click.UsageError(f"{camera.source} has no end; give --frames N or --minutes M.")
        store = FrameStore(out, camera.source)
        collecting.collect(camera, store, screening, frames, minutes, every_s)
    if screening is not None and screening.left_out:
        logger.info(f"Left out {len(screening.left_out)}: {named(screening.left_out)}.")
    logger.info(f"{out} has {len(store)} frames of {store.camera}.")
