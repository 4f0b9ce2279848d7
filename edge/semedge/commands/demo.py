"""`semedge demo`."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import click

from semedge.core.console import print_json
from semedge.core.errors import SemedgeError
from semedge.journal.marked_frames import FOLDER as MARKED_FOLDER
from semedge.station.demo import LearnedAgain, describe, run_demo

logger = logging.getLogger(__name__)


LEFT_OVER = ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "demo.recipe")
LEFT_OVER_FOLDERS = ("normal", MARKED_FOLDER)


@click.command()
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    default="semedge-demo",
    show_default=True,
    metavar="DIR",
    help="Folder for the normal frames, the recipe, the journal and the pictures.",
)
@click.option(
    "--normal-frames",
    type=click.IntRange(1),
    default=900,
    show_default=True,
    help="Normal frames to learn from: the first 200 are fitted to, the others set the threshold, "
    "of which 299 prove 1 % at 95 % confidence.",
)
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=120,
    show_default=True,
    help="Frames of the simulated line to watch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def demo(pictures: Path, normal_frames: int, frames: int, as_json: bool) -> None:
    """Learn a material and inspect its line, both simulated, in a minute or two.

    Learns from simulated normal frames, as `semedge learn --option even_light=off` does, watches a
    simulated line on which about every fourth frame has a defect, and compares the alerts with the
    planted defects. Then it marks a false alarm, and learns again with it among the normal frames.
    """
    for name in LEFT_OVER:
        (pictures / name).unlink(missing_ok=True)
    for name in LEFT_OVER_FOLDERS:
        shutil.rmtree(pictures / name, ignore_errors=True)
    result = run_demo(pictures, normal_frames=normal_frames, frames=frames)
    for sentence in result.summary.sentences():
        logger.info(sentence)
    if as_json:
        print_json(
            {
                "guarantee": result.lesson.calibration.guarantee,
                "threshold": result.lesson.calibration.threshold,
                "frames": len(result.frames),
                "raised": result.count("raised"),
                "missed": result.count("missed"),
                "invented": result.count("false alarm"),
                "precision": result.precision,
                "recall": result.recall,
                "again": _again(result.again),
                "pictures": str(pictures),
            }
        )
        return
    for line in describe(result):
        click.echo(line)
    overview = pictures / "overview.png"
    if not overview.exists():
        raise SemedgeError(
            f"The demo raised no alert and missed no defect in {frames} frames; give more --frames."
        )
    click.echo(f"Pictures: {overview} shows them all; the alerts' heat maps are beside it.")
    click.echo(f"Next: semedge watch --recipe {pictures / 'demo.recipe'} --camera sim:")


def _again(again: LearnedAgain | None) -> dict[str, Any] | None:
    if again is None:
        return None
    return {
        "score_before": again.alarm.before,
        "score_after": again.alarm.after,
        "alarms_still": again.alarm.alarmed_after,
        "real": again.real.frames,
        "real_still_found": again.real.after,
    }
