"""`semedge evaluate`."""

from __future__ import annotations

import logging
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from semedge.commands.camera_options import frame_options, take_view
from semedge.commands.scoring_options import workers_option
from semedge.core.console import print_json, progress, table_console
from semedge.decision.fields import parse_fields
from semedge_trainer.evaluation.evaluate import evaluate as run_evaluation
from semedge_trainer.evaluation.request import (
    SEARCH_STEPS,
    SEARCHED_PATCHES,
    ConflictingOptionsError,
    EvaluationRequest,
)
from semedge_trainer.evaluation.results import rich_table
from semedge_trainer.extra import need_package, need_tensorflow

logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "--detector",
    type=click.Path(path_type=Path),
    metavar="DETECTOR",
    help="The bundle to measure; default: the demo detector.",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The run folder of a detector that the edge cannot run, in place of a bundle.",
)
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Frames, anomalous or not.",
)
@click.option(
    "--masks",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A mask for each frame: NAME, NAME_gt or NAME_mask, above 0 where it is anomalous.",
)
@click.option(
    "--normal",
    "normal_images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Normal frames that were not trained on, for the AUROC of whole frames.",
)
@frame_options
@click.option(
    "--fields",
    "fields_px",
    callback=lambda ctx, parameter, value: None if value is None else parse_fields(value),
    metavar="WxH",
    help="Judge fields of this size instead of whole frames, such as 256x256.",
)
@click.option(
    "--protocol",
    type=click.Choice(["thesis", "pixel", "both"]),
    help="thesis: patches at stride 16, anomalous above 20 mask pixels, as in the code of the "
    "thesis's author; pixel: every pixel. "
    "Default: both; with --run or --patches, thesis.",
)
@click.option(
    "--score", "scores", multiple=True, metavar="NAME", help="A score to measure; repeatable."
)
@click.option("--all-scores", is_flag=True, help="Measure every score of the detector.")
@click.option(
    "--floors",
    "baselines",
    metavar="NORMAL",
    help="Also measure plain statistics and PCA, fitted to these normal frames.",
)
@click.option(
    "--calibration",
    "calibration",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also measure at this calibrated threshold.",
)
@click.option(
    "--stride",
    "stride_px",
    type=click.IntRange(1),
    metavar="PX",
    help="Distance between patches in the pixel protocol; default: the detector's own.",
)
@click.option(
    "--patches",
    type=click.IntRange(1),
    metavar="N",
    help="Measure a seeded sample of about N patches, equally many from each frame; "
    f"default with --run: {SEARCHED_PATCHES}.",
)
@click.option(
    "--search-steps",
    type=click.IntRange(0),
    default=SEARCH_STEPS,
    show_default=True,
    metavar="N",
    help="Steps of the search for each patch's latent, with --run.",
)
@click.option(
    "--mixed-precision",
    is_flag=True,
    help="Search in bfloat16, or float16 on GPUs without it, with --run; on the processors that "
    "multiply in it, faster.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the sample and of the search.",
)
@workers_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write a report there: report.html, which needs no other file, its pictures as PNG, and "
    "metrics.json.",
)
def evaluate(as_json: bool, report: Path | None, **requested: Any) -> None:
    """Measure a detector on frames with defect masks.

    The bundle runs as it does on the edge. The oracle's threshold, which gives the best F1, can be
    found only with masks; a line has only the calibrated threshold.
    """
    need_package("sklearn", "scikit-learn")
    if report is not None:
        need_package("matplotlib", "Matplotlib")
        need_package("jinja2", "Jinja2")
    try:
        request = EvaluationRequest(view=take_view(requested), **requested)
    except ConflictingOptionsError as error:
        raise click.UsageError(str(error)) from error
    if request.run is not None:
        need_tensorflow()
    evaluation = run_evaluation(
        request, lambda frames: progress(frames, "Scoring", total=len(frames))
    )
    if report is not None:
        from semedge_trainer.evaluation.report import PAGE, write_report

        write_report(report, evaluation, shlex.join(["semedge", *sys.argv[1:]]))
        logger.info(f"Wrote {report / PAGE}, its pictures and metrics.json.")
    if as_json:
        print_json(evaluation.document())
        return
    console = table_console()
    if request.run is None:
        console.print(next(iter(evaluation.results.values())).verdict, soft_wrap=True)
    for result in evaluation.results.values():
        console.print(result.headline, soft_wrap=True)
        console.print(rich_table(result))
