"""`semedge score`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from semedge.calibration_file import load_calibration
from semedge.commands.camera_options import crop_option
from semedge.console import print_json, progress, say
from semedge.detector import Detector
from semedge.errors import SemedgeError
from semedge.files import write_atomically
from semedge.frame import Frame, GrayImage
from semedge.images import list_images, read_gray
from semedge.information_bar import LowerEdge
from semedge_calibration import Calibration

FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class ScoredFile:
    """An image file and its score; `above_threshold` is None without a calibration."""

    path: str
    frame_score: float
    peak_x_px: int
    peak_y_px: int
    above_threshold: bool | None

    def line(self) -> str:
        """The result for people."""
        mark = "  ALERT" if self.above_threshold else ""
        return (
            f"{self.frame_score:12.5g}  at x={self.peak_x_px} y={self.peak_y_px}  {self.path}{mark}"
        )


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--detector",
    type=FILE,
    metavar="FILE",
    help="The detector bundle; the demo detector where absent.",
)
@click.option(
    "--calibration",
    type=FILE,
    metavar="FILE",
    help="A calibration of the detector, to mark what is above its threshold.",
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="PX",
    help="Distance between patches; the detector's own where absent.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads that score patches; the usable cores where absent.",
)
@crop_option
@click.option("--out", type=FILE, metavar="FILE", help="Write the scores to this CSV file.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores to stdout as JSON.")
def score(
    paths: tuple[str, ...],
    detector: Path | None,
    calibration: Path | None,
    stride: int | None,
    workers: int | None,
    crop_bottom_px: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score image files: files, folders or globs.

    The score of a frame is the largest of its patches; x and y are that patch's centre. A file
    that cannot be decoded is named and left out.
    """
    if detector is None:
        say("Using the demo detector that ships with semedge; choose another with --detector.")
    files = [file for path in paths for file in list_images(path)]
    skipped: list[str] = []
    with Detector.load(detector, stride_px=stride, workers=workers) as loaded:
        promise = None if calibration is None else load_calibration(calibration, loaded)
        scored = [
            _score_file(loaded, promise, file, image)
            for file, image in _decodable(
                progress(files, "Scoring"), LowerEdge(crop_bottom_px), skipped
            )
        ]
        digest = loaded.bundle.sha256
    if not scored:
        raise SemedgeError(
            f"None of the {len(files)} files could be decoded; give 8- or 16-bit gray images."
        )
    if out is not None:
        write_atomically(out, _table(scored).encode("utf-8", "surrogateescape"))
    if as_json:
        print_json(_document(scored, skipped, digest, promise))
    else:
        for each in scored:
            say(each.line())
    say(_summary(scored, skipped, promise))


def _decodable(
    files: Iterator[Path], lower_edge: LowerEdge, skipped: list[str]
) -> Iterator[tuple[Path, GrayImage]]:
    """The files that are images; what is wrong with the others is said and added to `skipped`."""
    for file in files:
        try:
            image = lower_edge.crop(read_gray(file), str(file))
        except SemedgeError as error:
            skipped.append(str(error))
            say(f"Skipped: {error}")
            continue
        yield file, image


def _score_file(
    detector: Detector, calibration: Calibration | None, file: Path, image: GrayImage
) -> ScoredFile:
    score_map = detector.score(Frame(image, 0, file.stat().st_mtime, str(file)))
    x, y = score_map.peak_px
    above = None if calibration is None else calibration.exceeds(score_map.frame_score)
    return ScoredFile(str(file), score_map.frame_score, x, y, above)


def _row(scored: ScoredFile) -> dict[str, Any]:
    row = dict(vars(scored))
    if scored.above_threshold is None:
        del row["above_threshold"]
    return row


def _table(scored: list[ScoredFile]) -> str:
    text = io.StringIO()
    rows = [_row(each) for each in scored]
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _document(
    scored: list[ScoredFile], skipped: list[str], sha256: str, calibration: Calibration | None
) -> dict[str, Any]:
    return {
        "detector_sha256": sha256,
        "threshold": None if calibration is None else calibration.threshold,
        "files": [_row(each) for each in scored],
        "skipped": skipped,
    }


def _summary(scored: list[ScoredFile], skipped: list[str], calibration: Calibration | None) -> str:
    text = f"{len(scored):,} scored, {len(skipped):,} skipped"
    if calibration is not None:
        above = sum(bool(each.above_threshold) for each in scored)
        text += f", {above:,} above the threshold of {calibration.threshold:.5g}"
    return f"{text}."
