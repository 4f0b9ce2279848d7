"""Detectors of patches to bundles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from semedge.core.console import progress
from semedge.inference.manifest import Manifest, Parity
from semedge.inference.network_input import PatchInput
from semedge.inference.scaling import scale_patches
from semedge_trainer.components.density import NORMAL_STATISTICS, normal_statistics
from semedge_trainer.detectors.base import FineTunable, TrainableDetector
from semedge_trainer.export.exporter import Conversion, Exporter
from semedge_trainer.export.fully_convolutional import fully_convolutional_nodes
from semedge_trainer.export.parity import compare, keras_tensors, parity_patches
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import DeployModel, to_deploy_models
from semedge_trainer.quantization.equalization import equalized_deploy_models, scaled_nodes
from semedge_trainer.quantization.quantization_aware import fine_tuned_deploy_models
from semedge_trainer.quantization.representative import REPRESENTATIVE_PATCHES, inputs_of
from semedge_trainer.quantization.tensors import exported_tensors

Array = NDArray[np.float32]


class PatchExporter(Exporter[TrainableDetector]):
    """The export of a detector of patches, from the sample of patches in the run folder."""

    @cached_property
    def patches(self) -> Array:
        """The sample, scaled, `(n, patch_px, patch_px, 1)`."""
        return scale_patches(self.run.patches(), self.run.record.scaling)

    def convert(self) -> Conversion:
        """Each network by itself; those without padding also for tiles of the frame."""
        tensors = self._tensors()
        deploy_models = self._deploy_models(tensors)
        graphs = {
            name: convert(
                deploy_models[name], self.quantization, inputs_of(name, self.plan, tensors)
            )
            for name in progress(self.plan.graphs, "converting")
        }
        nodes, scales = scaled_nodes(self.plan.nodes, deploy_models)
        patch_input = PatchInput(patch_px=self.detector.patch_px, scaling=self.run.record.scaling)
        stride_px = self.request.stride_px or self.detector.patch_px
        nodes, tile_graphs = fully_convolutional_nodes(
            nodes, graphs, patch_input, stride_px, self.run.record.frame_shape
        )
        fitted = self.only_needed(self.fitted)
        statistics = normal_statistics(tensors, self.needed - set(fitted))
        return Conversion(
            patch_input,
            stride_px,
            nodes,
            graphs={**graphs, **tile_graphs},
            arrays={**fitted, **statistics, **scales},
        )

    def compare(self, conversion: Conversion, manifest: Manifest) -> dict[str, Parity]:
        """On patches of the sample, half of them blurred flat."""
        compared, blurred = parity_patches(self.patches)
        graphs = {name: conversion.graphs[name] for name in self.plan.graphs}
        return compare(
            self.plan,
            keras_tensors(self.plan, self.networks, compared),
            exported_tensors(conversion.nodes, graphs, conversion.arrays, compared),
            conversion.arrays,
            blurred,
        )

    def _tensors(self) -> dict[str, Array]:
        """What the networks make of as many patches as the conversion needs."""
        if self.quantization == "qat":
            return keras_tensors(self.detector.score_plan(), self.networks, self.patches)
        everything = bool(self.needed & NORMAL_STATISTICS.keys())
        patches = self.patches if everything else self.patches[:REPRESENTATIVE_PATCHES]
        return keras_tensors(self.plan, self.networks, patches)

    def _deploy_models(self, tensors: Mapping[str, Array]) -> dict[str, DeployModel]:
        match self.quantization, self.detector:
            case "qat", FineTunable() as detector:
                plan = self.detector.score_plan()
                return fine_tuned_deploy_models(detector, plan, self.networks, tensors)
            case "int8", _:
                return equalized_deploy_models(self.plan, self.networks, tensors)
        return to_deploy_models(self.plan, self.networks)
