"""An evaluation from its request to its results."""

from __future__ import annotations

from semedge.core.console import progress
from semedge.core.information_bar import LowerEdge
from semedge_trainer.evaluation.baselines import Baselines
from semedge_trainer.evaluation.masks import match_masks, unseen_normal_frames
from semedge_trainer.evaluation.protocols import EvaluationProtocol, PixelProtocol, ThesisProtocol
from semedge_trainer.evaluation.request import EvaluationRequest
from semedge_trainer.evaluation.results import Evaluation, evaluate_frames
from semedge_trainer.evaluation.scored_frames import PatchSubset
from semedge_trainer.evaluation.subject import open_subject
from semedge_trainer.training.frames import read_training_frames

BASELINE_FRAMES = 64
"""Normal frames that the baselines are fitted to, at most."""


def evaluate(request: EvaluationRequest) -> Evaluation:
    """Measure a detector on frames with defect masks."""
    lower_edge = LowerEdge(request.crop_bottom_px)
    frames = match_masks(request.images, request.masks, lower_edge)
    subset = PatchSubset.about(request.patches_measured, len(frames), request.seed)
    subject = open_subject(request)
    calibration = subject.calibration
    with subject.scorer as scorer:
        if request.normal_images is not None:
            frames += unseen_normal_frames(request.normal_images, scorer.trained_on, lower_edge)
        results = evaluate_frames(
            scorer,
            progress(frames, "Scoring", len(frames)),
            _protocols(request, scorer.stride_px),
            {calibration.score_name: calibration.threshold} if calibration else {},
            _baselines(request, scorer.patch_px),
            subset,
            request.fields_px,
        )
    settings = {
        "patches_a_frame": subset and subset.patches_a_frame,
        "sample_seed": subset and subset.seed,
        "search_steps": None if request.run is None else request.search_steps,
        "fields_px": request.fields_px,
    }
    return Evaluation(scorer.facts, settings, calibration, results, subject.bundle)


def _protocols(request: EvaluationRequest, own_stride_px: int) -> list[EvaluationProtocol]:
    protocols: list[EvaluationProtocol] = [
        ThesisProtocol(),
        PixelProtocol(request.stride_px or own_stride_px),
    ]
    return [each for each in protocols if request.protocol_measured in (each.name, "both")]


def _baselines(request: EvaluationRequest, patch_px: int) -> Baselines | None:
    if request.baselines is None:
        return None
    frames = read_training_frames(
        request.baselines, patch_px, BASELINE_FRAMES, request.crop_bottom_px
    )
    return Baselines.fit(frames.images, patch_px)
