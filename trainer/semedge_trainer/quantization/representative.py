"""What a graph sees on training patches, which the ranges of int8 come from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from semedge_trainer.detectors.base import ScorePlan
from semedge_trainer.quantization.deploy_model import BATCH

REPRESENTATIVE_BATCHES = 16
REPRESENTATIVE_PATCHES = BATCH * REPRESENTATIVE_BATCHES

Array = NDArray[np.float32]


def inputs_of(graph: str, plan: ScorePlan, tensors: Mapping[str, Array]) -> Array:
    """What a graph sees on the training patches, from all the nodes that run it, interleaved."""
    inputs = [
        np.concatenate([tensors[name] for name in node.inputs], axis=-1)
        for node in plan.nodes
        if node.graph == graph
    ]
    stacked = np.stack(inputs, axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def representative_batches(values: Array, batch: int) -> list[Array]:
    """Whole batches of the first inputs, `REPRESENTATIVE_BATCHES` at most."""
    count = min(len(values) // batch, REPRESENTATIVE_BATCHES)
    return [values[index * batch : (index + 1) * batch] for index in range(count)]
