"""A sparse dictionary of normal patches (Boracchi, Carrera and Wohlberg 2014; thesis 2.1.1).

A dictionary is learned in which normal patches have sparse codes. A patch is scored by what its
code leaves of it, by the L1 norm of the code, or by how rare the pair of them is among normal
patches, as in the papers (thesis ref. 11 and 12).

Differences from the papers, with the reason:

- Codes come from orthogonal matching pursuit with 8 atoms, where the papers solve a basis pursuit:
  a hundred iterations over the whole dictionary for every patch are too slow on an edge device.
- The density of (residual, L1 norm) is a mixture of Gaussians of their logarithms, where the papers
  estimate it with kernels, which would have to carry the training patches along.
- Parts of 16x16 px that tile the detector's 32x32 px patch are coded, where the papers code patches
  of 15x15 px.
"""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from semedge.core.errors import SemedgeError
from semedge.inference.scores.statistics import code_indicators, code_statistics
from semedge.inference.sparse_coding import parts_of
from semedge_trainer.components.density import COMPONENTS, mixture
from semedge_trainer.detectors.base import (
    FIT_SCHEDULES,
    Array,
    Arrays,
    FittedDetector,
    Networks,
    ScorePlan,
)

PART_PX = 16
KEPT_BATCHES = 64
"""The newest batches, whose indicators the density is fitted to."""


@dataclass(frozen=True)
class Options:
    """Size of the dictionary, and the weight of the L1 norm while it is learned."""

    atoms: int = 512
    penalty: float = 1.0


class Dictionary(FittedDetector):
    """The fit and the scores of a sparse dictionary."""

    name = "dictionary"
    thesis_section = "2.1.1"
    options_class = Options
    schedules: ClassVar = FIT_SCHEDULES
    options: Options

    def score_plan(self) -> ScorePlan:
        """Residual, L1 norm of the code, and the rareness of both."""
        scores = {
            "residual": {"dictionary_residual": 1.0},
            "l1": {"dictionary_l1": 1.0},
            "surprise": {"dictionary_surprise": 1.0},
        }
        return ScorePlan((), scores, default="surprise")

    def fitting(self, networks: Networks, seed: int) -> DictionaryFitting:
        """Online dictionary learning, then the density of the indicators."""
        return DictionaryFitting(self.options, seed)


class DictionaryFitting:
    """Online dictionary learning under way (Mairal et al. 2009).

    Parameters
    ----------
    options
        Options of the detector.
    seed
        Seed of the run.
    """

    def __init__(self, options: Options, seed: int) -> None:
        self._options = options
        self._seed = seed
        self._mean = np.zeros(PART_PX**2, np.float32)
        self._first: list[Array] = []
        self._learning: MiniBatchDictionaryLearning | None = None
        self._kept: deque[Array] = deque(maxlen=KEPT_BATCHES)

    def take(self, patches: Array) -> dict[str, float]:
        """Learn from a batch; the first ones are gathered until each atom has a part to start at.

        The residual and the L1 norm are those of the batch before the dictionary learned from it.
        """
        self._kept.append(patches)
        parts = parts_of(patches, PART_PX**2).reshape(-1, PART_PX**2)
        if self._learning is None:
            self._first.append(parts)
            if sum(map(len, self._first)) >= self._options.atoms:
                self._start()
            return {"residual": 0.0, "l1": 0.0}
        residual, l1 = code_indicators(patches, self._mean, self._atoms()).mean(axis=0)
        self._learn(self._learning, parts)
        return {"residual": float(residual), "l1": float(l1)}

    def arrays(self) -> Arrays:
        """Mean part, atoms, and the density of the indicators."""
        shown = np.concatenate(list(self._kept))
        if self._learning is None or len(shown) < COMPONENTS:
            raise SemedgeError(
                f"{self._options.atoms} atoms need as many parts of {PART_PX}x{PART_PX} px, and "
                f"{sum(map(len, self._first))} were shown; give more steps or fewer atoms."
            )
        atoms = self._atoms()
        statistics = code_statistics(shown, self._mean, atoms)
        return {"dictionary_mean": self._mean, "dictionary_atoms": atoms} | mixture("c", statistics)

    def _start(self) -> None:
        """Begin with the mean gray, and with parts drawn at random as the atoms."""
        parts = np.concatenate(self._first)
        self._mean = np.full(PART_PX**2, parts.mean(), np.float32)
        drawn = np.random.default_rng(self._seed).permutation(len(parts))[: self._options.atoms]
        self._learning = MiniBatchDictionaryLearning(
            n_components=self._options.atoms,
            alpha=self._options.penalty,
            fit_algorithm="lars",
            dict_init=_unit(parts[drawn] - self._mean).astype(np.float64),
            random_state=self._seed,
        )
        self._learn(self._learning, parts)

    def _learn(self, learning: MiniBatchDictionaryLearning, parts: Array) -> None:
        with warnings.catch_warnings():
            # Flat parts make atoms that are nearly alike; LARS drops one of them and warns.
            warnings.simplefilter("ignore", ConvergenceWarning)
            learning.partial_fit((parts - self._mean).astype(np.float64))

    def _atoms(self) -> Array:
        """The atoms `(k, d)`, of unit norm."""
        if self._learning is None:
            raise RuntimeError("the dictionary was not started")
        return _unit(self._learning.components_)


def _unit(values: Array) -> Array:
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Array = (values / np.maximum(lengths, 1e-6)).astype(np.float32)
    return unit
