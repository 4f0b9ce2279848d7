"""What gives patches their scores: a bundle, by the code that runs on the edge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError, unknown_name
from semedge.core.frame import GrayImage
from semedge.inference.bundle import Bundle
from semedge.inference.grid import PatchGrid
from semedge.inference.patch_scorer import PatchScorer
from semedge.inference.scorer import make_scorer

Scores = NDArray[np.float32]

THESIS_PATCH_PX = 32


class AnyScorer(Protocol):
    """Gives every patch its scores: a bundle as on the edge, or the networks of a run."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is scored, for the record."""

    @property
    def patch_px(self) -> int:
        """Side of a patch."""

    @property
    def stride_px(self) -> int:
        """Distance between patches unless told otherwise."""

    @property
    def trained_on(self) -> Collection[str]:
        """Digests of the frames that it was trained on."""

    @property
    def thesis_patch_px(self) -> int:
        """Side of the patches that the thesis protocol asks for."""

    def score_chosen(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Scores]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part."""


class MultiScorer(Closing):
    """Several scores of a bundle by their names.

    Parameters
    ----------
    bundle
        What to run.
    score_names
        Scores of the manifest.
    workers
        Threads that score batches in parallel; the usable cores where None.
    """

    def __init__(
        self, bundle: Bundle, score_names: Sequence[str], workers: int | None = None
    ) -> None:
        self.bundle = bundle
        self.score_names = tuple(score_names)
        self._scorer = make_scorer(
            bundle, {name: _weights(bundle, name) for name in score_names}, workers
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Path and digest of the bundle, name and quantization of the detector."""
        return {
            "path": self.bundle.name,
            "sha256": self.bundle.sha256,
            "name": self.bundle.manifest.detector,
            "quantization": self.bundle.manifest.quantization,
        }

    @property
    def stride_px(self) -> int:
        """The bundle's."""
        return self.bundle.manifest.stride_px

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Digests of the training frames."""
        return self.bundle.manifest.training.frame_sha256

    @property
    def patch_px(self) -> int:
        """Side of a patch."""
        return self.bundle.manifest.input.patch_px

    @property
    def thesis_patch_px(self) -> int:
        """Its own patch; of a whole-frame detector, which has none, the thesis's."""
        return self.patch_px if isinstance(self._scorer, PatchScorer) else THESIS_PATCH_PX

    def score_chosen(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Scores]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part.

        A whole-frame detector's score of a patch is the highest of the cells that lie in it.
        """
        if isinstance(self._scorer, PatchScorer):
            scores, _ = self._scorer.run(grid.cut(cropped(image, grid))[chosen])
        else:
            scores = self._score_cells(image, grid, chosen)
        for name, values in scores.items():
            if not np.isfinite(values).all():
                raise SemedgeError(
                    f"{self.bundle.name} gives a patch a score {name} that is no number; export "
                    "the detector again."
                )
        return scores

    def _score_cells(
        self, image: GrayImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Scores]:
        height, width = image.shape
        cells = PatchGrid((height, width), self.patch_px, min(self.patch_px, grid.stride_px))
        by_cell, _ = self._scorer.score_image(image, cells)
        if grid == cells:
            return {name: values[chosen] for name, values in by_cell.items()}
        scores = {}
        for name, values in by_cell.items():
            pixels = cells.to_pixels(values)
            patches = grid.cut(cropped(pixels, grid))
            scores[name] = patches[chosen].max(axis=(1, 2, 3))
        return scores

    def close(self) -> None:
        """End the worker threads."""
        self._scorer.close()


def score_names(bundle: Bundle) -> list[str]:
    """Every score of a bundle, the one that frames are judged by first."""
    chosen = bundle.manifest.score.name
    return [chosen, *sorted(set(bundle.manifest.scores) - {chosen})]


def _weights(bundle: Bundle, name: str) -> Mapping[str, float]:
    if name not in score_names(bundle):
        raise unknown_name(f"{bundle.name} has no score", name, "it has", score_names(bundle))
    chosen = bundle.manifest.score
    return chosen.weights if name == chosen.name else bundle.manifest.scores[name]


def cropped(image: NDArray, grid: PatchGrid) -> NDArray:
    """The upper left part of a frame that the grid covers."""
    height, width = grid.frame_shape
    return image[:height, :width]
