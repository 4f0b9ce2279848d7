"""`semedge evaluate`."""

from __future__ import annotations

import logging
import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

import click

from semedge.commands.camera_options import crop_option
from semedge.commands.scoring_options import workers_option
from semedge.core.console import print_json, progress, table_console
from semedge.core.errors import SemedgeError
from semedge.core.information_bar import LowerEdge
from semedge.decision.calibration_file import load_calibration
from semedge.decision.fields import parse_fields
from semedge.inference.bundle import read_bundle, read_demo_bundle
from semedge.inference.detector import Detector
from semedge_calibration import Calibration
from semedge_trainer.evaluation.baselines import Floors
from semedge_trainer.evaluation.evaluate import PatchSample
from semedge_trainer.evaluation.masks import match_masks, unseen_normal_frames
from semedge_trainer.evaluation.protocols import EvaluationProtocol, PixelProtocol, ThesisProtocol
from semedge_trainer.evaluation.results import Evaluation, evaluate_frames, rich_table
from semedge_trainer.evaluation.scorer import AnyScorer
from semedge_trainer.extra import need_package, need_tensorflow
from semedge_trainer.training.frames import read_training_frames

logger = logging.getLogger(__name__)

ProtocolChoice = Literal["thesis", "pixel", "both"]

FLOOR_FRAMES = 64
"""Normal frames that the floors are fitted on at most."""
SEARCHED_PATCHES = 1000
SEARCH_STEPS = 500


@click.command()
@click.option(
    "--detector",
    "detector_path",
    type=click.Path(path_type=Path),
    metavar="DETECTOR",
    help="The bundle to measure; the demo detector unless told otherwise.",
)
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Instead of a bundle, the training of a detector that the edge cannot run.",
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
@crop_option
@click.option(
    "--fields",
    callback=lambda ctx, parameter, value: None if value is None else parse_fields(value),
    metavar="WxH",
    help="Judge fields of this size instead of whole frames, such as 256x256.",
)
@click.option(
    "--protocol",
    "choice",
    type=click.Choice(["thesis", "pixel", "both"]),
    help="thesis: patches at stride 16, anomalous above 20 mask pixels; pixel: every pixel. "
    "Default: both, and thesis with --run or --patches.",
)
@click.option("--score", "scores", multiple=True, metavar="NAME", help="A score; may be repeated.")
@click.option("--all-scores", is_flag=True, help="Every score that there is.")
@click.option(
    "--floors",
    "floor_source",
    metavar="NORMAL",
    help="Also measure plain statistics and PCA, fitted on these normal frames.",
)
@click.option(
    "--calibration",
    "calibration_path",
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
    help="Measure a seeded sample of about N patches, as many of each frame; "
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
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of sample and search."
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
def evaluate(
    detector_path: Path | None,
    run_path: Path | None,
    images: Path,
    masks: Path,
    normal_images: Path | None,
    crop_bottom_px: int,
    fields: tuple[int, int] | None,
    choice: ProtocolChoice | None,
    scores: tuple[str, ...],
    all_scores: bool,
    floor_source: str | None,
    calibration_path: Path | None,
    stride_px: int | None,
    patches: int | None,
    search_steps: int,
    seed: int,
    workers: int | None,
    as_json: bool,
    report: Path | None,
) -> None:
    """Measure a detector on frames with defect masks.

    The bundle runs as on the edge. The oracle's threshold is the one of the best F1, which only
    the masks tell; what a line can have is the calibrated one.
    """
    need_package("sklearn", "scikit-learn")
    if report is not None:
        need_package("matplotlib", "Matplotlib")
        need_package("markupsafe", "MarkupSafe")
    if detector_path is not None and run_path is not None:
        raise click.UsageError("Give --detector or --run, not both.")
    if scores and all_scores:
        raise click.UsageError("Give --score or --all-scores, not both.")
    if run_path is not None and calibration_path:
        raise click.UsageError("--run measures without a calibration.")
    if run_path is not None:
        patches = patches or SEARCHED_PATCHES
    choice = choice or ("both" if patches is None else "thesis")
    if choice == "thesis" and stride_px:
        raise click.UsageError("--stride needs the pixel protocol.")
    if patches is not None and (choice != "thesis" or normal_images or fields):
        raise click.UsageError(
            "A sample of patches has no pixel protocol and no --normal or --fields."
        )
    lower_edge = LowerEdge(crop_bottom_px)
    frames = match_masks(images, masks, lower_edge)
    sample = PatchSample.about(patches, len(frames), seed)
    if run_path is not None:
        opened = _run_scorer(run_path, scores, all_scores, search_steps, seed)
    else:
        opened = _bundle_scorer(detector_path, scores, all_scores, workers)
    with opened as scorer:
        if normal_images is not None:
            frames += unseen_normal_frames(normal_images, scorer.trained_on, lower_edge)
        calibration = _calibration(calibration_path, scorer, stride_px)
        results = evaluate_frames(
            scorer,
            progress(frames, "Scoring", len(frames)),
            _protocols(choice, stride_px or scorer.stride_px),
            {calibration.score_name: calibration.threshold} if calibration else {},
            _fit_floors(floor_source, scorer.patch_px, crop_bottom_px),
            sample,
            fields,
        )
    settings = {
        "patches_a_frame": sample and sample.patches_a_frame,
        "sample_seed": sample and sample.seed,
        "search_steps": None if run_path is None else search_steps,
        "fields_px": fields,
    }
    evaluation = Evaluation(scorer.facts, settings, calibration, results)
    if report is not None:
        from semedge_trainer.evaluation.report import PAGE, write_report

        write_report(report, evaluation, scorer.bundle, shlex.join(["semedge", *sys.argv[1:]]))
        logger.info(f"Wrote {report / PAGE}, its pictures and metrics.json.")
    if as_json:
        print_json(evaluation.document())
        return
    console = table_console()
    for result in results.values():
        console.print(result.headline, soft_wrap=True)
        console.print(rich_table(result))


def _run_scorer(
    path: Path, scores: tuple[str, ...], all_scores: bool, search_steps: int, seed: int
) -> AbstractContextManager[AnyScorer]:
    need_tensorflow()
    from semedge_trainer.evaluation.latent_search import SearchingScorer
    from semedge_trainer.training.run import Run

    run = Run.open(path)
    names = run.detector().searched_scores if all_scores else tuple(dict.fromkeys(scores))
    return nullcontext(SearchingScorer(run, search_steps, seed, names))


def _bundle_scorer(
    path: Path | None, scores: tuple[str, ...], all_scores: bool, workers: int | None
) -> AbstractContextManager[AnyScorer]:
    bundle = read_demo_bundle() if path is None else read_bundle(path)
    names = list(bundle.manifest.all_scores) if all_scores else list(dict.fromkeys(scores))
    return Detector(bundle, workers=workers, score_names=names)


def _protocols(choice: ProtocolChoice, stride_px: int) -> list[EvaluationProtocol]:
    protocols: list[EvaluationProtocol] = [ThesisProtocol(), PixelProtocol(stride_px)]
    return [protocol for protocol in protocols if choice in (protocol.name, "both")]


def _calibration(path: Path | None, scorer: AnyScorer, stride_px: int | None) -> Calibration | None:
    if path is None or scorer.bundle is None:
        return None
    with Detector(scorer.bundle, stride_px=stride_px, workers=1) as detector:
        calibration = load_calibration(path, detector)
    if calibration.score_name not in scorer.score_names:
        raise SemedgeError(
            f"The calibration {path} is for the score {calibration.score_name}, which is not "
            f"measured; add --score {calibration.score_name}."
        )
    logger.info(
        "The calibrated threshold is for the highest patch of a frame at stride "
        f"{calibration.grid.stride_px} px; on patches and pixels it is strict."
    )
    return calibration


def _fit_floors(source: str | None, patch_px: int, crop_bottom_px: int) -> Floors | None:
    if source is None:
        return None
    frames = read_training_frames(source, patch_px, FLOOR_FRAMES, crop_bottom_px)
    return Floors.fit(frames.images, patch_px)
