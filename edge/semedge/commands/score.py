"""`semedge score`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from semedge.commands.camera_options import view_options
from semedge.commands.scoring_options import detector_option, stride_option, workers_option
from semedge.commands.setting_options import FILE, GivenSettings, pass_given
from semedge.core.colour import ColourWarning
from semedge.core.console import print_json, progress
from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame
from semedge.core.images import list_frames, read_picture
from semedge.core.tables import check_table, write_table
from semedge.core.view import FrameView, ViewSettings
from semedge.decision.calibration_file import load_calibration
from semedge.decision.frame_sizes import FrameSizeWarning
from semedge.inference.batch.local import score_locally
from semedge.inference.batch.results import ScoreStore
from semedge.inference.batch.score_file import FileResult, ScoredFile, ScoreSettings, SkippedFile
from semedge.inference.bundle import Bundle, demo_content, parse_bundle, read_content
from semedge.inference.detector import Detector
from semedge.inference.feature_manifest import Scale
from semedge.journal.database import storable
from semedge_calibration import Calibration

logger = logging.getLogger(__name__)

COLUMNS = ("path", "frame_score", "raw_score", "peak_x_px", "peak_y_px")
STORED_AT_ONCE = 32
"""Most results that an interruption loses."""


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@detector_option()
@click.option(
    "--calibration",
    "calibration_path",
    type=FILE,
    metavar="FILE",
    help="A calibration of the detector, to mark frames above its threshold.",
)
@stride_option()
@workers_option()
@click.option(
    "--ray",
    "cluster",
    metavar="ADDRESS",
    help="Score on this Ray cluster, whose machines can read the files (extra: cluster).",
)
@click.option("--recursive", is_flag=True, help="Read the subfolders of folders too.")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write the scores to FILE.csv or FILE.parquet; an interrupted run can be resumed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the scores to stdout as JSON.")
@view_options
@pass_given
def score(
    given: GivenSettings,
    paths: tuple[str, ...],
    detector_path: Path | None,
    calibration_path: Path | None,
    stride_px: int | None,
    workers: int | None,
    cluster: str | None,
    recursive: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score image files: files, folders or globs.

    The score of a frame is the largest of its patches or, with a detector that `semedge learn`
    fitted, the mean of its highest cells; x and y are the centre of the highest one. A file that
    cannot be decoded or scored is reported and left out. The raw score is the score before the
    detector scaled it.

    With --out, results are stored in FILE.partial until all are complete: the same command
    resumes an interrupted run.
    """
    if cluster is not None and workers is not None:
        raise click.UsageError("Give --workers or --ray, not both: --workers is for this machine.")
    if out is not None:
        check_table(out)
    if detector_path is None:
        logger.info(
            "Using the demo detector that ships with semedge; choose another with --detector."
        )
    files = list(
        dict.fromkeys(name for path in paths for name in list_frames(path, recursive=recursive))
    )
    content, bundle = _read_bundle(detector_path)
    with Detector(bundle, stride_px=stride_px, workers=1) as loaded:
        calibration = (
            None if calibration_path is None else load_calibration(calibration_path, loaded)
        )
        scale = loaded.score_scale
        settings = ScoreSettings.of(
            loaded,
            given.over(ViewSettings()).with_bits(
                None if calibration is None else calibration.bits, loaded.bits
            ),
        )
    view = FrameView(settings.view)
    _warn_of_first(files[0], view, bundle, calibration)
    partial = out and out.with_name(f"{out.name}.partial")
    skipped: list[str] = []
    with ScoreStore(partial, settings) as store:
        missing = store.missing(files)
        if len(missing) < len(files):
            logger.info(
                f"{len(files) - len(missing):,} of {len(files):,} files are already scored."
            )
        if cluster is None:
            results = score_locally(missing, bundle, settings.stride_px, view, workers)
        else:
            results = _on_cluster(missing, bundle, content, settings, cluster)
        _store(store, progress(results, "Scoring", len(missing)), skipped)
        if len(skipped) == len(files):
            store.remove()
            raise SemedgeError(
                f"None of the {len(files)} files could be scored; give 8- or 16-bit gray images "
                "that are no smaller than a patch."
            )
        _report(store, files, scale, calibration, settings, skipped, out, as_json)
        store.remove()


def _warn_of_first(
    name: str, view: FrameView, bundle: Bundle, calibration: Calibration | None
) -> None:
    """Report that the first file has colours that are not judged, or lacks those that are, or that
    it is of another size than the calibration's frames."""
    try:
        picture = read_picture(name)
        shape = view.show(Frame(picture.image, source=name, shown=picture.shown)).shape
    except SemedgeError:
        # It is reported when it is scored.
        return
    warning = ColourWarning(judged=bundle.manifest.judges_colours)
    warning.check(name, in_colour=picture.colours is not None)
    if calibration is not None:
        FrameSizeWarning().check(name, shape, calibration)


def _read_bundle(path: Path | None) -> tuple[bytes, Bundle]:
    """The detector's bytes, which are sent to a cluster, and the bundle in them."""
    content = demo_content() if path is None else read_content(path)
    return content, parse_bundle(content, "the demo detector" if path is None else str(path))


def _on_cluster(
    files: list[str], bundle: Bundle, content: bytes, settings: ScoreSettings, address: str
) -> Iterator[FileResult]:
    """Results by the paths as they were given; the cluster's machines need absolute ones."""
    from semedge.inference.batch.cluster import score_on_cluster

    given = {os.path.abspath(path): path for path in files}  # noqa: PTH100 - links stay as they are
    for result in score_on_cluster(list(given), bundle, content, settings, address):
        path = given[result.path]
        if isinstance(result, SkippedFile):
            yield SkippedFile(path, result.reason.replace(result.path, path))
        else:
            yield replace(result, path=path)


def _store(store: ScoreStore, results: Iterable[FileResult], skipped: list[str]) -> None:
    """Store the results as they come; faults of files are logged and added to `skipped`."""
    waiting: list[ScoredFile] = []
    try:
        for result in results:
            if isinstance(result, SkippedFile):
                skipped.append(result.reason)
                logger.info(f"Skipped: {result.reason}", extra={"event": "file-skipped"})
                continue
            waiting.append(result)
            if len(waiting) == STORED_AT_ONCE:
                store.add(waiting)
                waiting.clear()
    except KeyboardInterrupt as error:
        if store.path is not None:
            logger.info(f"The scores so far are in {store.path}; the same command resumes the run.")
        raise click.Abort from error
    finally:
        store.add(waiting)


def _report(
    store: ScoreStore,
    files: list[str],
    scale: Scale,
    calibration: Calibration | None,
    settings: ScoreSettings,
    skipped: list[str],
    out: Path | None,
    as_json: bool,
) -> None:
    if out is not None:
        columns = COLUMNS if calibration is None else (*COLUMNS, "above_threshold")
        write_table(out, columns, _rows(store, files, scale, calibration))
    if as_json:
        print_json(
            {
                "detector_sha256": settings.detector_sha256,
                "threshold": None if calibration is None else calibration.threshold,
                "files": list(_rows(store, files, scale, calibration)),
                "skipped": skipped,
            }
        )
    elif out is None:
        for row in _rows(store, files, scale, calibration):
            logger.info(_line(row))
    rows = _rows(store, files, scale, calibration)
    above = sum(row.get("above_threshold", False) for row in rows)
    text = f"{len(files) - len(skipped):,} scored, {len(skipped):,} skipped"
    if calibration is not None:
        text += f", {above:,} above the threshold of {calibration.threshold:.5g}"
    logger.info(f"{text}." if out is None else f"{text}; the scores are in {out}.")


def _rows(
    store: ScoreStore, files: list[str], scale: Scale, calibration: Calibration | None
) -> Iterator[dict[str, Any]]:
    """The table, in the files' order; `above_threshold` only where there is a calibration."""
    for scored in store.rows(files):
        row: dict[str, Any] = {
            "path": storable(scored.path),
            "frame_score": scored.frame_score,
            "raw_score": scale.invert(scored.frame_score),
            "peak_x_px": scored.peak_x_px,
            "peak_y_px": scored.peak_y_px,
        }
        if calibration is not None:
            row["above_threshold"] = calibration.exceeds(scored.frame_score)
        yield row


def _line(row: dict[str, Any]) -> str:
    mark = "  ALERT" if row.get("above_threshold") else ""
    place = f"x={row['peak_x_px']} y={row['peak_y_px']}"
    return f"{row['frame_score']:12.5g}  at {place}  {row['path']}{mark}"
