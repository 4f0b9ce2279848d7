"""`semedge demo`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from semedge.core.console import print_json
from semedge.core.errors import SemedgeError
from semedge.inference.detector import Detector
from semedge.station.demo import describe, run_demo

logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "--detector",
    "detector_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Another bundle, trained on the same kind of simulated frames.",
)
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    default="semedge-demo",
    show_default=True,
    metavar="DIR",
    help="Folder for the calibration, the journal and the pictures.",
)
@click.option(
    "--calibration-frames",
    type=click.IntRange(1),
    default=299,
    show_default=True,
    help="Normal frames; 299 prove 1 % at 95 % confidence.",
)
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=120,
    show_default=True,
    help="Frames of the simulated line to watch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def demo(
    detector_path: Path | None,
    pictures: Path,
    calibration_frames: int,
    frames: int,
    as_json: bool,
) -> None:
    """Calibrate and inspect on a simulated line, in a minute or two.

    Calibrates the demo detector on simulated normal frames, watches a simulated line on which
    about every fourth frame has a defect, and compares the alerts with the planted defects.
    """
    for name in ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"):
        (pictures / name).unlink(missing_ok=True)
    with Detector.load(detector_path) as detector:
        logger.info(
            f"Calibrating {detector.bundle.name} ({detector.bundle.manifest.detector}, "
            f"{detector.score_name}) on {calibration_frames} simulated normal frames."
        )
        result = run_demo(detector, pictures, calibration_frames=calibration_frames, frames=frames)
    for sentence in result.summary.sentences():
        logger.info(sentence)
    if as_json:
        print_json(
            {
                "guarantee": result.calibration.guarantee,
                "threshold": result.calibration.threshold,
                "frames": len(result.frames),
                "raised": result.count("raised"),
                "missed": result.count("missed"),
                "invented": result.count("false alarm"),
                "precision": result.precision,
                "recall": result.recall,
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
