"""Detectors of whole frames to bundles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from semedge.core.frame import GrayImage
from semedge.inference.bundle import Bundle, array_content
from semedge.inference.frame_scorer import FrameScorer
from semedge.inference.frame_tiles import cut_tile, prepare_frame, tile_values
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Manifest, Parity
from semedge.inference.network_input import FrameInput
from semedge.inference.tiling import Tiling, choose_tile
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.whole_frame import FrameDetector
from semedge_trainer.export.exporter import Array, Conversion, Exporter
from semedge_trainer.export.parity import BLUR_SIGMA_PX, keras_tensors, parity_of_scores
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import to_deploy_model
from semedge_trainer.quantization.representative import inputs_of

PARITY_FRAMES = 2


class FrameExporter(Exporter[FrameDetector]):
    """The export of a detector of whole frames, from the frames in the run folder."""

    @cached_property
    def images(self) -> tuple[GrayImage, ...]:
        """Some of the training frames."""
        return self.run.frames()

    @cached_property
    def frame_input(self) -> FrameInput:
        """How a frame becomes the networks' input, the size of its tiles chosen."""
        return self.detector.frame_input(
            self.request.tile_shape or _tile_for(self.detector, self.images)
        )

    @cached_property
    def fixed(self) -> dict[str, Network]:
        """The networks for tiles of that size."""
        return self.detector.networks_for(self.networks, self.frame_input.tile_shape)

    def convert(self) -> Conversion:
        """Each network for tiles of one size; the arrays are fitted anew to int8 graphs."""
        tiles = _tiles(self.images, self.frame_input)
        tensors = keras_tensors(self.plan, self.fixed, tiles, batch=1)
        graphs = {
            name: convert(
                to_deploy_model(self.fixed[name], batch=1),
                self.quantization,
                inputs_of(name, self.plan, tensors),
                ranges="observed",
            )
            for name in self.plan.graphs
        }
        return Conversion(
            self.frame_input,
            self.request.stride_px or self.frame_input.cell_px,
            self.plan.nodes,
            graphs,
            self.only_needed(
                self._refitted(graphs) if self.quantization == "int8" else self.fitted
            ),
        )

    def compare(self, conversion: Conversion, manifest: Manifest) -> dict[str, Parity]:
        """On frames as they are and blurred flat, cell by cell, as the edge scores them."""
        members = conversion.members
        fitted = self.only_needed(self.fitted)
        arrays = {f"{name}.npy": array_content(array) for name, array in fitted.items()}
        trained = Bundle("the trained networks", "", manifest, {**members, **arrays})
        exported = Bundle("the export", "", manifest, members)
        keras_graphs = {name: _KerasGraph(network) for name, network in self.fixed.items()}
        scorers = [
            FrameScorer(trained, manifest.scores, graphs=keras_graphs),
            FrameScorer(exported, manifest.scores),
        ]
        scores: list[dict[str, list[Array]]] = [{}, {}]
        blurred = []
        for image in self.images[:PARITY_FRAMES]:
            blur: Any = cv2.GaussianBlur(image, (0, 0), BLUR_SIGMA_PX)
            for shown in (image, blur):
                height, width = shown.shape
                grid = PatchGrid((height, width), manifest.stride_px, manifest.stride_px)
                blurred.append(np.full(len(grid), shown is not image))
                for scorer, found in zip(scorers, scores, strict=True):
                    for name, values in scorer.score_image(shown, grid)[0].items():
                        found.setdefault(name, []).append(values)
        by_keras, by_export = (
            {name: np.concatenate(values) for name, values in found.items()} for found in scores
        )
        return parity_of_scores(by_keras, by_export, np.concatenate(blurred))

    def _refitted(self, graphs: Mapping[str, bytes]) -> dict[str, Array]:
        loaded = {name: Graph(content, name).run for name, content in graphs.items()}
        return self.detector.refit(self.fitted, loaded, self.images, self.frame_input.tile_shape)


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
