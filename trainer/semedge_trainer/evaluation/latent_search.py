"""Scores by a run's networks in TensorFlow, of detectors that the edge cannot run.

What a search found is kept in the run folder, batch by batch: an interrupted one goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semedge.core.console import progress
from semedge.core.errors import SemedgeError, unknown_name
from semedge.core.frame import AnyImage
from semedge.core.images import to_gray
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge_trainer.detectors.base import LatentSearch, SearchedDetector
from semedge_trainer.evaluation.run_scorer import RunScorer
from semedge_trainer.evaluation.search_results import SearchResults
from semedge_trainer.training.devices import choose_strategy, mixed_policy
from semedge_trainer.training.run import Run

BATCH = 50
"""Patches that are searched together. A batch of 20 takes half as long again for each of them."""


class SearchingScorer(RunScorer):
    """Searched scores of a run, in batches that are each searched together.

    Parameters
    ----------
    run
        A finished training of a detector with searched scores.
    steps
        Steps of the search for a patch's latent.
    seed
        Seed of the latents that the search starts at.
    score_names
        Searched scores of the detector; each takes its own search. The default one where empty.
    mixed_precision
        Whether networks compute in mixed precision; latents and losses are float32 all the same.
    """

    def __init__(
        self,
        run: Run,
        steps: int,
        seed: int,
        score_names: Sequence[str] = (),
        *,
        mixed_precision: bool = False,
    ) -> None:
        policy = mixed_policy(choose_strategy(None)) if mixed_precision else "float32"
        detector, networks = run.load(policy)
        if not isinstance(detector, SearchedDetector):
            raise SemedgeError(
                f"{detector.name} runs on the edge; export {run.folder} with `semedge export` and "
                "measure what that gives with --detector."
            )
        for name in score_names:
            if name not in detector.searched_scores:
                raise unknown_name(
                    f"{detector.name} has no score", name, "it has", detector.searched_scores
                )
        super().__init__(run, detector)
        self.score_names = tuple(score_names) or detector.searched_scores[:1]
        self._steps = steps
        self._seed = seed
        self._detector, self._networks = detector, networks
        self._searches: dict[tuple[str, int], LatentSearch] = {}
        self._results = SearchResults(run, steps=steps, policy=policy)

    def score_chosen(
        self, picture: AnyImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, NDArray[np.float32]]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part."""
        return self.score_patches([grid.cut_chosen(to_gray(picture), chosen)])

    def score_patches(self, parts: Sequence[NDArray]) -> dict[str, NDArray[np.float32]]:
        """Scores `(n,)` of patches as cut from frames, all of them together.

        `parts` holds those of each frame, `(n, side, side, 1)`.
        """
        scaled = np.concatenate([scale_patches(each, self._scaling) for each in parts])
        return {name: self._score(name, scaled) for name in self.score_names}

    def paint(self, patches: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Patches of a frame, scaled, and what the search paints of them."""
        scaled = scale_patches(patches, self._scaling)
        search = self._detector.search_reconstruction(self._networks, len(scaled))
        return scaled, np.asarray(search(scaled, self._steps, self._seed))

    def _score(self, name: str, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = min(BATCH, len(scaled))
        scores = []
        for at in progress(range(0, len(scaled), batch), "Searching"):
            part = scaled[at : at + batch]
            padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
            found = self._results.find(name, padded, self._seed + at)
            if found is None:
                found = self._search(name, padded, self._seed + at)
                self._results.keep(name, padded, self._seed + at, found)
            scores.append(found[: len(part)])
        return np.concatenate(scores)

    def _search(self, name: str, patches: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        key = name, len(patches)
        if key not in self._searches:
            self._searches[key] = self._detector.search(self._networks, len(patches), name)
        return np.asarray(self._searches[key](patches, self._steps, seed), np.float32)
