"""What is measured: a bundle, or the run of a detector that the edge cannot run."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge.decision.calibration_file import load_calibration
from semedge.inference.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.inference.detector import Detector
from semedge_calibration import Calibration
from semedge_trainer.evaluation.bundle_scorer import AnyScorer, MultiScorer, score_names
from semedge_trainer.evaluation.request import EvaluationRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """What an evaluation measures.

    Attributes
    ----------
    scorer
        Gives the scores that are asked for; to be closed when that is done.
    bundle
        The bundle, for its reconstructions; None where a run is measured.
    calibration
        With the threshold to measure at, if one is asked for.
    """

    scorer: AbstractContextManager[AnyScorer]
    bundle: Bundle | None = None
    calibration: Calibration | None = None


def open_subject(request: EvaluationRequest) -> Subject:
    """What a request asks to measure."""
    names = tuple(dict.fromkeys(request.scores))
    if request.run is not None:
        return Subject(nullcontext(_searching_scorer(request.run, request, names)))
    bundle = read_demo_bundle() if request.detector is None else read_bundle(request.detector)
    if request.all_scores:
        names = tuple(score_names(bundle))
    names = names or (bundle.manifest.score.name,)
    calibration = None
    if request.calibration is not None:
        calibration = _calibration(request.calibration, bundle, names, request.stride_px)
    return Subject(MultiScorer(bundle, names, request.workers), bundle, calibration)


def _searching_scorer(
    folder: Path, request: EvaluationRequest, names: tuple[str, ...]
) -> AnyScorer:
    from semedge_trainer.evaluation.latent_search import SearchingScorer  # imports TensorFlow
    from semedge_trainer.training.run import Run

    run = Run.open(folder)
    if request.all_scores:
        names = run.detector().score_names
    return SearchingScorer(run, request.search_steps, request.seed, names)


def _calibration(
    path: Path, bundle: Bundle, names: Collection[str], stride_px: int | None
) -> Calibration:
    with Detector(bundle, stride_px=stride_px, workers=1) as detector:
        calibration = load_calibration(path, detector)
    if calibration.score_name not in names:
        raise SemedgeError(
            f"The calibration {path} is for the score {calibration.score_name}, which is not "
            f"measured; add --score {calibration.score_name}."
        )
    logger.info(
        "The calibrated threshold is for the highest patch of a frame at stride "
        f"{calibration.grid.stride_px} px; on patches and pixels it is strict."
    )
    return calibration
