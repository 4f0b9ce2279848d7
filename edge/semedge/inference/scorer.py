"""What scores an image: patch by patch, or as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from semedge.core.frame import GrayImage
from semedge.inference.bundle import Bundle
from semedge.inference.frame_scorer import FrameScorer
from semedge.inference.grid import PatchGrid
from semedge.inference.manifest import FrameInput
from semedge.inference.patch_scorer import PatchScorer
from semedge.inference.scores.distances import Tensor


class Scorer(Protocol):
    """A bundle's graphs and arrays, ready to run.

    Attributes
    ----------
    batch
        Patches or tiles that the graphs take at once.
    """

    batch: int

    def score_image(
        self, image: GrayImage, grid: PatchGrid
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Scores of the grid's patches by name, each `(len(grid),)`, and milliseconds by stage."""
        ...

    def close(self) -> None:
        """End what runs."""
        ...


def make_scorer(
    bundle: Bundle, scores: Mapping[str, Mapping[str, float]], workers: int | None = None
) -> Scorer:
    """The scorer that the bundle's input asks for.

    Parameters
    ----------
    bundle
        What to run.
    scores
        Weights of each wanted score, by its name.
    workers
        Threads to score with; the usable cores where None.
    """
    if isinstance(bundle.manifest.input, FrameInput):
        return FrameScorer(bundle, scores, workers)
    return PatchScorer(bundle, scores, workers)
