"""A detector scores a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semedge.core.closing import Closing
from semedge.core.errors import SemedgeError, unknown_name
from semedge.core.frame import Frame
from semedge.inference.bundle import Bundle, read_bundle, read_demo_bundle
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import find_runtime
from semedge.inference.scorer import make_scorer


@dataclass(frozen=True)
class ScoreMap:
    """Scores of a frame's patches.

    Attributes
    ----------
    grid
        Where the patches lie.
    patch_scores
        Shape `(len(grid),)`, float32.
    stage_ms
        Time spent in each stage, summed over the workers.
    """

    grid: PatchGrid
    patch_scores: NDArray[np.float32]
    stage_ms: Mapping[str, float]

    @property
    def frame_score(self) -> float:
        """Largest score of any patch: what the threshold is compared with."""
        return float(self.patch_scores.max())

    @property
    def peak_px(self) -> tuple[int, int]:
        """Centre `(x, y)` of the patch with the largest score."""
        row, column = np.unravel_index(int(self.patch_scores.argmax()), self.grid.shape)
        half = self.grid.patch_px // 2
        return int(self.grid.lefts[column]) + half, int(self.grid.tops[row]) + half

    def to_pixels(self) -> NDArray[np.float32]:
        """Score of every pixel, shape of the frame."""
        return self.grid.to_pixels(self.patch_scores)


class Detector(Closing):
    """A bundle ready to score frames, with one set of graphs a worker thread.

    Parameters
    ----------
    bundle
        What to run.
    stride_px
        Distance between patches; the bundle's own where None.
    workers
        Threads that score; the usable cores where None.
    score_name
        A score of the manifest's `scores`; the bundle's choice where None.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        stride_px: int | None = None,
        workers: int | None = None,
        score_name: str | None = None,
    ) -> None:
        manifest = bundle.manifest
        self.bundle = bundle
        self.patch_px = manifest.input.patch_px
        self.stride_px = manifest.stride_px if stride_px is None else stride_px
        self.score_name = manifest.score.name if score_name is None else score_name
        self.runtime, _ = find_runtime()
        self._scorer = make_scorer(bundle, {self.score_name: self._find_score()}, workers)
        self._grid: PatchGrid | None = None
        self._check_graphs()

    @classmethod
    def load(
        cls,
        path: Path | None,
        *,
        stride_px: int | None = None,
        workers: int | None = None,
        score_name: str | None = None,
    ) -> Detector:
        """Read the bundle at `path`, or the demo detector where it is None."""
        bundle = read_demo_bundle() if path is None else read_bundle(path)
        return cls(bundle, stride_px=stride_px, workers=workers, score_name=score_name)

    def score(self, frame: Frame) -> ScoreMap:
        """Run the graphs on every patch, or on the whole, and lay the scores out.

        Raises `SemedgeError` where the frame is smaller than a patch, or a score is no number.
        """
        try:
            grid = self._grid_for(frame.shape)
            scores, stage_ms = self._scorer.score_image(frame.image, grid)
        except SemedgeError as error:
            raise SemedgeError(f"{frame.source} cannot be scored: {error}") from error
        patch_scores = scores[self.score_name]
        if not np.isfinite(patch_scores).all():
            raise SemedgeError(
                f"{self.bundle.name} gives patches of {frame.source} a score that is no number; "
                "export the detector again."
            )
        return ScoreMap(grid, patch_scores, stage_ms)

    @property
    def batch(self) -> int:
        """Patches that the graphs take at once; 1 where they take the frame as a whole."""
        return self._scorer.batch

    def close(self) -> None:
        """End the worker threads."""
        self._scorer.close()

    def _find_score(self) -> dict[str, float]:
        manifest = self.bundle.manifest
        if self.score_name == manifest.score.name:
            return manifest.score.weights
        if self.score_name not in manifest.scores:
            raise unknown_name(
                f"{self.bundle.name} has no score",
                self.score_name,
                "it has",
                sorted({manifest.score.name, *manifest.scores}),
            )
        return manifest.scores[self.score_name]

    def _check_graphs(self) -> None:
        """Score a blank frame, so that graphs and arrays that do not fit are refused at once."""
        # One pixel more than a patch: some patches lie on the stride, others snap to the border.
        side_px = self.patch_px + 1
        blank = np.zeros((side_px, side_px), np.uint8)
        try:
            grid = PatchGrid((side_px, side_px), self.patch_px, self.stride_px)
            scores, _ = self._scorer.score_image(blank, grid)
            fits = scores[self.score_name].shape == (len(grid),)
        except (ValueError, RuntimeError):
            fits = False
        except SemedgeError:
            self.close()
            raise
        if not fits:
            self.close()
            raise SemedgeError(
                f"The graphs and arrays of {self.bundle.name} do not fit together, or not its "
                f"patches of {self.patch_px}x{self.patch_px} px; export the detector again."
            )

    def _grid_for(self, frame_shape: tuple[int, int]) -> PatchGrid:
        if self._grid is None or self._grid.frame_shape != frame_shape:
            self._grid = PatchGrid(frame_shape, self.patch_px, self.stride_px)
        return self._grid
