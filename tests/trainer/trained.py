"""The networks of a finished run, as tests of quantization and export need them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semedge.inference.manifest import Quantization
from semedge.inference.scaling import scale_patches
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.base import ScorePlan, TrainableDetector
from semedge_trainer.export.parity import keras_tensors
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import to_deploy_models
from semedge_trainer.quantization.equalization import equalized_deploy_models
from semedge_trainer.quantization.representative import inputs_of
from semedge_trainer.training.run import Run

Array = NDArray[np.float32]


class Trained:
    """The networks of the short run, and what they make of its patches."""

    def __init__(self, folder: Path) -> None:
        run = Run.open(folder)
        self.detector: TrainableDetector
        self.networks: dict[str, Network]
        self.detector, self.networks = run.load()
        self.plan: ScorePlan = self.detector.score_plan()
        self.patches: Array = scale_patches(run.patches(), "range")
        self.tensors: Mapping[str, Array] = keras_tensors(self.plan, self.networks, self.patches)
        self.plain = to_deploy_models(self.plan, self.networks)
        self.equalized = equalized_deploy_models(self.plan, self.networks, self.tensors)
        self._graphs: dict[tuple[str, Quantization], bytes] = {}

    def graph(self, name: str, kind: Quantization) -> bytes:
        """The network `name` converted, once for all tests."""
        if (name, kind) not in self._graphs:
            deploy_model = (self.equalized if kind == "int8" else self.plain)[name]
            self._graphs[name, kind] = convert(deploy_model, kind, self.inputs(name))
        return self._graphs[name, kind]

    def inputs(self, name: str) -> Array:
        return inputs_of(name, self.plan, self.tensors)

    def outputs(self, name: str, count: int) -> Array:
        return np.asarray(self.networks[name](self.inputs(name)[:count], training=False))
