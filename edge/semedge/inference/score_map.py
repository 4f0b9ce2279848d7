"""The result of a detector for a frame: scores by patch, by pixel and by region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.event import Region
from semedge.inference.grid import PatchGrid

MOST_REGIONS = 16


def mean_of_highest(scores: NDArray[np.float32], count: int) -> float:
    """Mean of the `count` highest scores, or of all where there are fewer."""
    if count == 1:
        return float(scores.max())
    flat = scores.ravel()
    count = min(count, flat.size)
    return float(np.partition(flat, flat.size - count)[flat.size - count :].mean())


@dataclass(frozen=True)
class ScoreMap:
    """Scores of a frame's patches.

    Attributes
    ----------
    grid
        Grid of the patches.
    patch_scores
        Shape `(len(grid),)`, float32.
    stage_ms
        Time spent in each stage, summed over the workers.
    top_patches
        How many patches, those with the highest scores, the frame is judged by.
    """

    grid: PatchGrid
    patch_scores: NDArray[np.float32]
    stage_ms: Mapping[str, float]
    top_patches: int = 1

    @property
    def frame_score(self) -> float:
        """Mean of the highest scores of patches, which is compared with the threshold."""
        return mean_of_highest(self.patch_scores, self.top_patches)

    @property
    def peak_px(self) -> tuple[int, int]:
        """Centre `(x, y)` of the patch with the largest score."""
        return self._centre_px(int(self.patch_scores.argmax()))

    def to_pixels(self) -> NDArray[np.float32]:
        """Score of every pixel, shape of the frame."""
        return self.grid.to_pixels(self.patch_scores)

    def covered_pixels(self, level: float) -> NDArray[np.uint8]:
        """1 where a patch above the level covers the pixel, else 0; shape of the frame."""
        above = (~(self.patch_scores <= level)).astype(np.float32)
        covered: NDArray[np.uint8] = (self.grid.to_pixels(above) > 0).astype(np.uint8)
        return covered

    def regions(self, level: float, most: int = MOST_REGIONS) -> tuple[Region, ...]:
        """Where the frame is anomalous: connected parts of `covered_pixels`, at most `most`.

        Parts that touch at a corner are one region. A region's score is the largest of its
        patches'; the region with the largest score comes first.
        """
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(
            self.covered_pixels(level), connectivity=8
        )
        if count == 1:
            return ()
        half = self.grid.patch_px // 2
        rows, columns = np.meshgrid(self.grid.tops + half, self.grid.lefts + half, indexing="ij")
        owner = labels[rows, columns].ravel()
        scores = np.where(self.patch_scores <= level, -np.inf, self.patch_scores)
        regions = []
        for label in range(1, count):
            own = np.where(owner == label, scores, -np.inf)
            peak = int(own.argmax())
            left, top, width, height, area = (int(value) for value in boxes[label])
            regions.append(
                Region(left, top, width, height, area, self._centre_px(peak), float(own[peak]))
            )
        return tuple(sorted(regions, key=lambda region: -region.score)[:most])

    def _centre_px(self, patch: int) -> tuple[int, int]:
        row, column = divmod(patch, self.grid.shape[1])
        half = self.grid.patch_px // 2
        return int(self.grid.lefts[column]) + half, int(self.grid.tops[row]) + half
