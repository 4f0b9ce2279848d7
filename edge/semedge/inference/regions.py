"""Where a frame is not normal: the connected parts of its score map above a level."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.event import Region
from semedge.inference.detector import ScoreMap

MOST_REGIONS = 16


def covered_pixels(score_map: ScoreMap, level: float) -> NDArray[np.uint8]:
    """1 where a patch above the level covers the pixel, else 0; shape of the frame."""
    above = (~(score_map.patch_scores <= level)).astype(np.float32)
    covered: NDArray[np.uint8] = (score_map.grid.to_pixels(above) > 0).astype(np.uint8)
    return covered


def find_regions(score_map: ScoreMap, level: float, most: int = MOST_REGIONS) -> tuple[Region, ...]:
    """At most `most` connected parts of `covered_pixels`, the largest score first.

    Parts that touch at a corner are one. A region's score is the largest of its patches'.
    """
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(
        covered_pixels(score_map, level), connectivity=8
    )
    if count == 1:
        return ()
    grid = score_map.grid
    half = grid.patch_px // 2
    rows, columns = np.meshgrid(grid.tops + half, grid.lefts + half, indexing="ij")
    owner = labels[rows, columns].ravel()
    scores = np.where(score_map.patch_scores <= level, -np.inf, score_map.patch_scores)
    regions = []
    for label in range(1, count):
        own = np.where(owner == label, scores, -np.inf)
        peak = int(own.argmax())
        row, column = divmod(peak, grid.shape[1])
        left, top, width, height, area = (int(value) for value in boxes[label])
        regions.append(
            Region(
                left,
                top,
                width,
                height,
                area,
                (int(grid.lefts[column]) + half, int(grid.tops[row]) + half),
                float(own[peak]),
            )
        )
    return tuple(sorted(regions, key=lambda region: -region.score)[:most])
