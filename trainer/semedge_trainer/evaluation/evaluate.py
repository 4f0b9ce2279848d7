"""An evaluation from its request to its results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from semedge.core.errors import SemedgeError
from semedge.core.view import FrameView
from semedge.decision.calibration_file import load_calibration
from semedge.inference.bundle import read_bundle, read_demo_bundle
from semedge.inference.detector import Detector
from semedge_calibration import Calibration
from semedge_trainer.evaluation.baselines import Baselines
from semedge_trainer.evaluation.masks import MaskedFrame, match_masks, unseen_normal_frames
from semedge_trainer.evaluation.protocols import EvaluationProtocol, PixelProtocol, ThesisProtocol
from semedge_trainer.evaluation.request import EvaluationRequest
from semedge_trainer.evaluation.results import Evaluation, evaluate_frames
from semedge_trainer.evaluation.scored_frames import PatchSubset
from semedge_trainer.evaluation.scorer import AnyScorer
from semedge_trainer.training.frames import read_training_frames

logger = logging.getLogger(__name__)

BASELINE_FRAMES = 64
"""Normal frames that the baselines are fitted to, at most."""


def evaluate(
    request: EvaluationRequest,
    show_progress: Callable[[Sequence[MaskedFrame]], Iterable[MaskedFrame]] = iter,
) -> Evaluation:
    """Measure a detector on frames with defect masks.

    Parameters
    ----------
    request
        What to measure, on which frames, and how.
    show_progress
        Gives the frames one by one, and can show how many are scored.
    """
    with _open_scorer(request) as scorer:
        settings_of_view = request.view.with_bits(scorer.bits)
        view = FrameView(settings_of_view)
        frames = match_masks(request.images, request.masks, view)
        subset = PatchSubset.about(request.patches_measured, len(frames), request.seed)
        if request.normal_images is not None:
            frames += unseen_normal_frames(request.normal_images, scorer.trained_on, view)
        calibration = _calibration(request, scorer)
        results = evaluate_frames(
            scorer,
            show_progress(frames),
            _protocols(request, scorer.stride_px),
            {calibration.score_name: calibration.threshold} if calibration else {},
            _baselines(replace(request, view=settings_of_view), scorer.patch_px),
            subset,
            request.fields_px,
        )
    settings = {
        "patches_a_frame": subset and subset.patches_a_frame,
        "sample_seed": subset and subset.seed,
        "search_steps": None if request.run is None else request.search_steps,
        "search_precision": None if request.run is None else _precision(request),
        "fields_px": request.fields_px,
    }
    paint = getattr(scorer, "paint", None)
    return Evaluation(scorer.facts, settings, calibration, results, scorer.bundle, paint)


def _open_scorer(request: EvaluationRequest) -> AbstractContextManager[AnyScorer]:
    names = tuple(dict.fromkeys(request.scores))
    if request.run is not None:
        from semedge_trainer.evaluation.latent_search import SearchingScorer  # imports TensorFlow
        from semedge_trainer.training.run import Run

        run = Run.open(request.run)
        names = run.detector().score_names if request.all_scores else names
        steps, mixed = request.search_steps, request.mixed_precision
        return nullcontext(SearchingScorer(run, steps, request.seed, names, mixed_precision=mixed))
    bundle = read_demo_bundle() if request.detector is None else read_bundle(request.detector)
    names = tuple(bundle.manifest.all_scores) if request.all_scores else names
    return Detector(bundle, workers=request.workers, score_names=names)


def _precision(request: EvaluationRequest) -> str:
    return "mixed" if request.mixed_precision else "float32"


def _calibration(request: EvaluationRequest, scorer: AnyScorer) -> Calibration | None:
    if request.calibration is None or scorer.bundle is None:
        return None
    with Detector(scorer.bundle, stride_px=request.stride_px, workers=1) as detector:
        calibration = load_calibration(request.calibration, detector)
    if calibration.score_name not in scorer.score_names:
        raise SemedgeError(
            f"The calibration {request.calibration} is for the score {calibration.score_name}, "
            f"which is not measured; add --score {calibration.score_name}."
        )
    logger.info(
        "The calibrated threshold is for the highest patch of a frame at stride "
        f"{calibration.grid.stride_px} px; on patches and pixels it is strict."
    )
    return calibration


def _protocols(request: EvaluationRequest, own_stride_px: int) -> list[EvaluationProtocol]:
    protocols: list[EvaluationProtocol] = [
        ThesisProtocol(),
        PixelProtocol(request.stride_px or own_stride_px),
    ]
    return [each for each in protocols if request.protocol_measured in (each.name, "both")]


def _baselines(request: EvaluationRequest, patch_px: int) -> Baselines | None:
    if request.baselines is None:
        return None
    frames = read_training_frames(request.baselines, patch_px, BASELINE_FRAMES, request.view)
    return Baselines.fit(frames.images, patch_px)
