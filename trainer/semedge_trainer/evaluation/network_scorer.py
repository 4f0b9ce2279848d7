"""Scores by a run's trained networks in TensorFlow, without an export.

An export to int8 and its comparison take longer than a short training, and what an ablation
compares is the trainings.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage
from semedge.core.images import to_gray
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge.inference.scores import tensors_needed, weighted_score
from semedge_trainer.components.blocks import Network
from semedge_trainer.components.density import NORMAL_STATISTICS
from semedge_trainer.evaluation.run_scorer import RunScorer
from semedge_trainer.quantization.tensors import run_nodes
from semedge_trainer.training.run import Run

Array = NDArray[np.float32]

BATCH = 128


class NetworkScorer(RunScorer):
    """A score of a finished run by its float32 networks.

    Parameters
    ----------
    run
        A finished training of a detector of patches.
    score_name
        The score; the detector's default where None.
    """

    def __init__(self, run: Run, score_name: str | None = None) -> None:
        detector, networks = run.load()
        self._plan = detector.chosen_plan(score_name, only=True)
        weights = self._plan.scores[self._plan.default]
        if unfitted := sorted(tensors_needed(weights) & NORMAL_STATISTICS.keys()):
            raise SemedgeError(
                f"The score {self._plan.default} needs {', '.join(unfitted)}, which an export "
                f"fits; export {run.folder} with `semedge export` and measure that."
            )
        super().__init__(run, detector)
        self.score_names = (self._plan.default,)
        self._fitted = run.fitted()
        self._functions = {name: _compiled(networks[name]) for name in self._plan.graphs}

    def score_chosen(
        self, picture: AnyImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Array]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part."""
        patches = scale_patches(grid.cut_chosen(to_gray(picture), chosen), self._scaling)
        found = [self._score(patches[at : at + BATCH]) for at in range(0, len(patches), BATCH)]
        return {self._plan.default: np.concatenate(found)}

    def _score(self, patches: Array) -> Array:
        """Scores of a batch; all batches have one size, so that a network is traced once."""
        padded = np.concatenate([patches, np.repeat(patches[-1:], BATCH - len(patches), axis=0)])
        tensors = run_nodes(
            self._plan.nodes,
            {**self._fitted, "x": padded},
            lambda name, values: self._functions[name](values).numpy(),
        )
        weights = self._plan.scores[self._plan.default]
        scores: Array = weighted_score(weights, tensors)[: len(patches)]
        return scores


def _compiled(network: Network) -> tf.types.experimental.PolymorphicFunction:
    """The network as a graph.

    TensorFlow warns of many tracings of the same code; a partial is other code for each network.
    """
    return tf.function(partial(network, training=False), autograph=False)
