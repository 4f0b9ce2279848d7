"""A finished fit of a whole-frame detector to a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.inference.bundle import Bundle, array_content, members_of, write_bundle
from semedge.inference.frame_scorer import FrameScorer, cut_tile, prepare_frame, tile_values
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph
from semedge.inference.manifest import (
    FrameInput,
    Manifest,
    Parity,
    Quantization,
    ScoreChoice,
    format_version_of,
)
from semedge.inference.scores import tensors_needed
from semedge.inference.tiling import Tiling
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.whole_frame import FrameDetector, choose_tile
from semedge_trainer.export.parity import BLUR_SIGMA_PX, keras_tensors
from semedge_trainer.quantization.convert import Array, convert, inputs_of
from semedge_trainer.quantization.deploy_model import make_twin
from semedge_trainer.training.run import Run

PARITY_FRAMES = 2


def export_frames(
    run: Run,
    path: Path,
    quantization: Quantization,
    *,
    score_name: str | None = None,
    only_score: bool = False,
    stride_px: int | None = None,
    tile_shape: tuple[int, int] | None = None,
) -> Manifest:
    """Export a whole-frame detector, compare it with the Keras networks, write the bundle.

    Parameters
    ----------
    run
        A finished fit.
    path
        Where the bundle goes.
    quantization
        What the graph computes in.
    score_name, only_score, stride_px, tile_shape
        As in `semedge_trainer.export.export.export_run`.
    """
    detector, networks = run.load()
    assert isinstance(detector, FrameDetector)
    if quantization == "qat":
        detector.fine_tuning_loss(networks, None)
    plan = detector.chosen_plan(score_name, only=only_score)
    images = run.frames()
    shape = tile_shape or _tile_for(detector, images)
    frame_input = detector.frame_input(shape)
    fixed = detector.networks_for(networks, shape)
    tensors = keras_tensors(plan, fixed, _tiles(images, frame_input), batch=1)
    twins = {name: make_twin(network, batch=1) for name, network in fixed.items()}
    needed = set().union(*(tensors_needed(weights) for weights in plan.scores.values()))
    graphs = {
        name: convert(twins[name], quantization, inputs_of(name, plan, tensors))
        for name in plan.graphs
    }
    fitted = run.fitted()
    if quantization == "int8":
        loaded = {name: Graph(content, name).run for name, content in graphs.items()}
        fitted = detector.refit(fitted, loaded, images, shape)
    constants = _members(fitted, needed)
    members = {f"{name}.tflite": content for name, content in graphs.items()}
    contents = {**members, **constants}
    manifest = Manifest(
        format_version=format_version_of(frame_input, plan.nodes),
        detector=detector.name,
        input=frame_input,
        stride_px=stride_px or frame_input.cell_px,
        quantization=quantization,
        nodes=plan.nodes,
        score=ScoreChoice(name=plan.default, weights=dict(plan.scores[plan.default])),
        scores={name: dict(weights) for name, weights in plan.scores.items()},
        members=members_of(contents),
        training=run.record.provenance(detector.thesis_section),
        parity={},
    )
    keras_arrays = {**contents, **_members(run.fitted(), needed)}
    parity = _compare(
        Bundle("the trained networks", "", manifest, keras_arrays),
        Bundle("the export", "", manifest, contents),
        fixed,
        images[:PARITY_FRAMES],
    )
    manifest = manifest.model_copy(update={"parity": parity})
    write_bundle(path, manifest, contents)
    return manifest


def _members(arrays: Mapping[str, Array], needed: set[str]) -> dict[str, bytes]:
    return {f"{name}.npy": array_content(array) for name, array in arrays.items() if name in needed}


def _tile_for(detector: FrameDetector, images: tuple[GrayImage, ...]) -> tuple[int, int]:
    frame_input = detector.frame_input()
    shapes = [prepare_frame(image, frame_input).shape for image in images]
    height, width = (max(side) for side in zip(*shapes, strict=True))
    return choose_tile((height, width), frame_input.overlap_px, frame_input.feature_stride_px)


def _tiles(images: tuple[GrayImage, ...], frame_input: FrameInput) -> Array:
    """The first tile of each frame, as the graph sees it; int8 ranges come from them."""
    tiles = []
    for image in images:
        prepared = prepare_frame(image, frame_input)
        height, width = prepared.shape
        tiling = Tiling(
            (height, width),
            frame_input.tile_shape,
            frame_input.overlap_px,
            frame_input.feature_stride_px,
        )
        rows, columns = next(iter(tiling))
        tile = cut_tile(prepared, rows, columns, frame_input.tile_shape)
        tiles.append(tile_values(tile))
    return np.concatenate(tiles)


@dataclass(frozen=True)
class _KerasGraph:
    """A Keras network in a graph's place."""

    network: Network

    def run(self, values: Array) -> Array:
        return np.asarray(self.network(values, training=False))


def _compare(
    trained: Bundle,
    exported: Bundle,
    networks: Mapping[str, Network],
    images: tuple[GrayImage, ...],
) -> dict[str, Parity]:
    """Parity of every score with the Keras networks, on frames as they are and blurred flat."""
    scores_wanted = exported.manifest.scores
    keras_graphs = {name: _KerasGraph(network) for name, network in networks.items()}
    scorers = [
        FrameScorer(trained, scores_wanted, graphs=keras_graphs),
        FrameScorer(exported, scores_wanted),
    ]
    found: list[dict[str, list[Array]]] = [{}, {}]
    blurred = []
    for image in images:
        blur: Any = cv2.GaussianBlur(image, (0, 0), BLUR_SIGMA_PX)
        for shown in (image, blur):
            height, width = shown.shape
            cell_px = exported.manifest.stride_px
            grid = PatchGrid((height, width), cell_px, cell_px)
            blurred.append(np.full(len(grid), shown is not image))
            for scorer, scores in zip(scorers, found, strict=True):
                for name, values in scorer.score_image(shown, grid)[0].items():
                    scores.setdefault(name, []).append(values)
    labels = np.concatenate(blurred)
    parity = {}
    for name in found[0]:
        by_keras, by_export = (np.concatenate(scores[name]) for scores in found)
        if not np.isfinite(by_export).all():
            raise SemedgeError(
                f"The exported graph gives scores {name} that are no number; train again."
            )
        parity[name] = Parity(
            patches=len(labels),
            rank_correlation=round(float(spearmanr(by_keras, by_export).statistic), 6),
            auroc_keras=round(float(roc_auc_score(labels, by_keras)), 6),
            auroc_exported=round(float(roc_auc_score(labels, by_export)), 6),
        )
    return parity
