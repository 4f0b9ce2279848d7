"""Scores by the exported graphs beside scores by the Keras networks."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from semedge.core.errors import SemedgeError
from semedge.inference.manifest import Parity
from semedge.inference.scores import weighted_score
from semedge_trainer.components.blocks import Network
from semedge_trainer.detectors.base import Networks, ScorePlan
from semedge_trainer.quantization.tensors import run_nodes

Array = NDArray[np.float32]

PARITY_PATCHES = 1024
KERAS_BATCH = 256
BLUR_SIGMA_PX = 6.0


def parity_patches(patches: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Patches to compare on, and which of them were blurred flat.

    The blurred half stands for a defect that any detector should find, so that the AUROC before
    and after the export can be compared without a defect at hand.
    """
    chosen = patches[:PARITY_PATCHES].copy()
    blurred = np.arange(len(chosen)) % 2 == 1
    for index in np.flatnonzero(blurred):
        chosen[index, ..., 0] = cv2.GaussianBlur(chosen[index, ..., 0], (0, 0), BLUR_SIGMA_PX)
    return chosen, blurred


def keras_tensors(
    plan: ScorePlan, networks: Networks, patches: Array, batch: int = KERAS_BATCH
) -> dict[str, Array]:
    """Every tensor of the plan, by the Keras networks in inference mode."""

    def run(name: str, values: Array) -> Array:
        return _predict(networks[name], values, batch)

    return run_nodes(plan.nodes, {"x": patches}, run)


def compare(
    plan: ScorePlan,
    keras_side: Mapping[str, Array],
    exported_side: Mapping[str, Array],
    constants: Mapping[str, Array],
    blurred: NDArray[np.bool_],
) -> dict[str, Parity]:
    """Parity of every score of the plan, from the tensors and arrays that it is computed of."""
    by_keras, by_export = (
        {
            name: weighted_score(weights, {**constants, **tensors})
            for name, weights in plan.scores.items()
        }
        for tensors in (keras_side, exported_side)
    )
    return parity_of_scores(by_keras, by_export, blurred)


def parity_of_scores(
    by_keras: Mapping[str, Array], by_export: Mapping[str, Array], blurred: NDArray[np.bool_]
) -> dict[str, Parity]:
    """Parity of scores by name; which of their items were blurred flat is `blurred`.

    Raises `SemedgeError` where the export gives a score that is NaN or infinite.
    """
    parity = {}
    for name, exported in by_export.items():
        if not np.isfinite(exported).all():
            raise SemedgeError(
                f"The exported graphs give a score {name} that is NaN or infinite; train again."
            )
        parity[name] = Parity(
            patches=len(exported),
            rank_correlation=round(float(spearmanr(by_keras[name], exported).statistic), 6),
            auroc_keras=round(float(roc_auc_score(blurred, by_keras[name])), 6),
            auroc_exported=round(float(roc_auc_score(blurred, exported)), 6),
        )
    return parity


def _predict(network: Network, values: Array, batch: int) -> Array:
    batches = [
        np.asarray(network(values[at : at + batch], training=False))
        for at in range(0, len(values), batch)
    ]
    return np.concatenate(batches)
