"""Scores by a run's networks in TensorFlow, of detectors that the edge cannot run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semedge.console import progress
from semedge.errors import SemedgeError
from semedge.frame import GrayImage
from semedge.scaling import scale_patches
from semedge_trainer.detectors.base import LatentSearch
from semedge_trainer.run import Run

BATCH = 50
"""Patches that are searched together: those of a frame in a sample of 1,000 on 20 frames."""


class SearchingScorer:
    """The searched scores of a run, in batches that are each searched together.

    Parameters
    ----------
    run
        A finished training of a detector with searched scores.
    steps
        Steps of the search for a patch's latent.
    seed
        Of the latents that the search starts at.
    """

    def __init__(self, run: Run, steps: int, seed: int) -> None:
        detector, networks = run.load()
        if not detector.searched_scores:
            raise SemedgeError(
                f"{detector.name} runs on the edge; export {run.folder} with `semedge export` and "
                "measure what that gives with --detector."
            )
        self.facts = {
            "path": str(run.folder),
            "name": run.record.detector,
            "steps": dict(run.record.steps),
            "seed": run.record.seed,
            "options": dict(run.record.options),
        }
        self.patch_px = self.stride_px = detector.patch_px
        self.trained_on = run.record.frame_sha256
        self.score_names = detector.searched_scores
        self._scaling = run.record.scaling
        self._steps = steps
        self._seed = seed
        self._detector, self._networks = detector, networks
        self._searches: dict[int, LatentSearch] = {}

    def score(self, patches: GrayImage) -> dict[str, NDArray[np.float32]]:
        """Scores of patches `(n, patch_px, patch_px, 1)`, each `(n,)`, by name."""
        scaled = scale_patches(patches, self._scaling)
        found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.score_names}
        batch = min(BATCH, len(scaled))
        if batch not in self._searches:
            self._searches[batch] = self._detector.search(self._networks, batch)
        for at in progress(range(0, len(scaled), batch), "Searching"):
            part = scaled[at : at + batch]
            padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
            scores = self._searches[batch](padded, self._steps, self._seed + at)
            for name in self.score_names:
                found[name].append(np.asarray(scores[name])[: len(part)])
        return {name: np.concatenate(parts) for name, parts in found.items()}
