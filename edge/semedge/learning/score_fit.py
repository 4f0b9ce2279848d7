"""Fits how maps become a score, to maps of normal frames that their models were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.feature_manifest import FeatureMap, FeatureScore, MapGroup, Position, Scale
from semedge.inference.feature_score import (
    border_distances,
    cell_by_cell_of,
    combined,
    group_values,
    resized,
    scores_of,
    similar_shape,
    without_border,
)
from semedge.inference.grid import PatchGrid
from semedge.inference.score_map import mean_of_highest
from semedge.learning.plan import LEAST_CELLS, POSITION_WEIGHT, TOP_SHARE, Plan, PlannedGroup

Array = NDArray[np.float32]

BORDER_CELLS = 14
"""Cells from the border as far as the network reaches."""
TAIL = 0.999
"""Quantile of normal cells that the highest values of maps are compared by."""
LEAST_UNIT = 1e-6
HIGHEST_SCORE = 100.0
"""The score that one cell in a thousand of a typical normal frame exceeds."""
POSITION_SHRINKAGE = 0.3
"""Share of the variance of all cells in the variance of each one."""
POSITION_SMOOTHING_CELLS = 1.0
HIGHEST_SHARE = 0.1
"""Share of the frames, those with the highest scores, by which no scale is set."""


@dataclass(frozen=True)
class NormalMaps:
    """Maps of a normal frame.

    Attributes
    ----------
    grid
        The frame's cells.
    logarithms
        Of each map's smoothed distances `(rows, columns)`, by name.
    """

    grid: PatchGrid
    logarithms: Mapping[str, Array]


@dataclass(frozen=True)
class FittedScore:
    """How maps become a score, with the arrays that it needs.

    Attributes
    ----------
    score
        For the manifest.
    arrays
        By name: means and deviations near the border and by position.
    frame_shape
        Height and width of the frames whose places are known; None where none are.
    """

    score: FeatureScore
    arrays: Mapping[str, Array]
    frame_shape: tuple[int, int] | None

    def scores(self, maps: NormalMaps) -> Array:
        """Score of each cell `(rows, columns)`."""
        return scores_of(self.score, maps.logarithms, maps.grid, self.arrays, self.frame_shape)

    def frame_score(self, maps: NormalMaps) -> float:
        """Score of the frame."""
        cells = self.scores(maps)
        return mean_of_highest(cells, self.score.judged_cells(cells.size))


def fit_score(frames: Sequence[NormalMaps], plan: Plan) -> FittedScore:
    """Fit a plan's score to normal frames' maps.

    The scales are those of the frames without the tenth that has the highest scores, so that one
    bad frame among many moves no score by much.

    Raises `SemedgeError` where position counts and the frames have several sizes.
    """
    first = _fit(frames, plan)
    most = int(HIGHEST_SHARE * len(frames))
    if not most:
        return first
    order = np.argsort([first.frame_score(frame) for frame in frames], kind="stable")
    return _fit([frames[index] for index in sorted(order[:-most])], plan)


def _fit(frames: Sequence[NormalMaps], plan: Plan) -> FittedScore:
    groups = tuple(_fit_group(group, frames) for group in plan.groups)
    values, arrays = _inner_values(frames, groups)
    position, frame_shape = None, None
    if plan.position:
        frame_shape = common_shape([frame.grid.frame_shape for frame in frames])
        mean, deviation = _by_cell(values)
        arrays |= {"position_mean": mean, "position_deviation": deviation}
        cell_by_cell = [cell_by_cell_of(each, mean, deviation) for each in values]
        position = Position(
            weight=POSITION_WEIGHT,
            values=_mean_scale(values),
            cell_by_cell=_mean_scale(cell_by_cell),
        )
    score = FeatureScore(
        groups=groups,
        position=position,
        scale=Scale(origin=0, unit=1),
        top_share=TOP_SHARE,
        least_cells=LEAST_CELLS,
    )
    raw = FittedScore(score, arrays, frame_shape)
    scale = _score_scale([raw.scores(frame) for frame in frames])
    return FittedScore(score.model_copy(update={"scale": scale}), arrays, frame_shape)


def position_agreement(frames: Sequence[NormalMaps], folds: Sequence[int], plan: Plan) -> float:
    """How well one half of the frames predicts where normal cells of the other are high.

    The correlation of both halves' mean values by position: near 0 for a texture, which looks alike
    everywhere or everywhere else in each frame, and near 1 for objects that always lie alike.

    Parameters
    ----------
    frames
        Maps of normal frames, nearly of one size.
    folds
        0 or 1: the half of each frame.
    plan
        The detector.
    """
    groups = tuple(_fit_group(group, frames) for group in plan.groups)
    inner = _inner_values(frames, groups)[0]
    shape = _median_shape([values.shape for values in inner])
    halves = [
        np.mean(
            [resized(each, shape) for each, of in zip(inner, folds, strict=True) if of == half],
            axis=0,
        ).ravel()
        for half in (0, 1)
    ]
    if min(half.std() for half in halves) == 0:
        return 0.0
    return float(np.corrcoef(*halves)[0, 1])


def common_shape(shapes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The median size of frames; `SemedgeError` where they differ too much to lie alike."""
    height, width = _median_shape(shapes)
    if not similar_sizes(shapes):
        sizes = ", ".join(f"{width}x{height}" for height, width in sorted(set(shapes))[:3])
        raise SemedgeError(
            f"The frames have several sizes ({sizes} px, ...), and position counts only in frames "
            "of one; learn from frames of one size, or with position=off."
        )
    return height, width


def similar_sizes(shapes: Sequence[tuple[int, int]]) -> bool:
    """Whether frames are nearly of one size, so that objects can lie alike in them."""
    return all(similar_shape(shape, _median_shape(shapes)) for shape in shapes)


def _median_shape(shapes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    height, width = (int(np.median(sides)) for sides in zip(*shapes, strict=True))
    return height, width


def _inner_values(
    frames: Sequence[NormalMaps], groups: tuple[MapGroup, ...]
) -> tuple[list[Array], dict[str, Array]]:
    """Each frame's values as if every cell lay far from the border, and the arrays for it."""
    values = [combined(groups, frame.logarithms) for frame in frames]
    arrays = _fit_border(frames, values)
    inner = [
        without_border(each, frame.grid, arrays["border_mean"], arrays["border_deviation"])
        for frame, each in zip(frames, values, strict=True)
    ]
    return inner, arrays


def _fit_group(group: PlannedGroup, frames: Sequence[NormalMaps]) -> MapGroup:
    maps = tuple(
        FeatureMap(
            name=each.name,
            model=each.model,
            output=each.output,
            weight=each.weight,
            scale=_mean_scale([frame.logarithms[each.name] for frame in frames]),
        )
        for each in group.maps
    )
    unscaled = MapGroup(maps=maps, scale=Scale(origin=0, unit=1))
    values = [group_values(unscaled, frame.logarithms) for frame in frames]
    return MapGroup(maps=maps, scale=_tail_scale(values, group.importance))


def _mean_scale(values: Sequence[Array]) -> Scale:
    """Mean and deviation of all cells."""
    cells = _all_cells(values)
    return Scale(origin=float(cells.mean()), unit=max(float(cells.std()), LEAST_UNIT))


def _tail_scale(values: Sequence[Array], importance: float = 1.0) -> Scale:
    """Median of all cells, and how far above it the highest thousandth begins."""
    median, highest = np.quantile(_all_cells(values), (0.5, TAIL))
    return Scale(origin=float(median), unit=max(float(highest - median) / importance, LEAST_UNIT))


def _score_scale(scores: Sequence[Array]) -> Scale:
    """Median of all cells, and how far above it the highest thousandth of a typical frame begins.

    The mean of the middle half of the frames, which a few others hardly change.
    """
    median = float(np.median(_all_cells(scores)))
    highest = np.sort([np.quantile(each, TAIL) for each in scores])
    outer = len(highest) // 4
    typical = float(highest[outer : len(highest) - outer].mean())
    return Scale(origin=median, unit=max((typical - median) / HIGHEST_SCORE, LEAST_UNIT))


def _all_cells(values: Sequence[Array]) -> NDArray[np.float64]:
    return np.concatenate([each.ravel() for each in values]).astype(np.float64)


def _fit_border(frames: Sequence[NormalMaps], values: Sequence[Array]) -> dict[str, Array]:
    """Mean and deviation of cells by their distance from the border, in cells."""
    distances = [border_distances(frame.grid, BORDER_CELLS).ravel() for frame in frames]
    distance, cells = np.concatenate(distances), _all_cells(values)
    last = int(distance.max())
    means, deviations = np.empty(last + 1, np.float32), np.empty(last + 1, np.float32)
    for cell in range(last + 1):
        there = cells[distance == cell]
        means[cell], deviations[cell] = there.mean(), max(float(there.std()), LEAST_UNIT)
    return {"border_mean": means, "border_deviation": deviations}


def _by_cell(values: Sequence[Array]) -> tuple[Array, Array]:
    """Mean and deviation of each cell, smoothed over its neighbours."""
    shape = _median_shape([each.shape for each in values])
    stack = np.stack([resized(each, shape) for each in values]).astype(np.float64)
    overall = float(stack.var())
    mean, variance = (_smoothed(each) for each in (stack.mean(axis=0), stack.var(axis=0)))
    shrunk = (1 - POSITION_SHRINKAGE) * variance + POSITION_SHRINKAGE * overall
    deviation = np.maximum(np.sqrt(shrunk), LEAST_UNIT).astype(np.float32)
    return mean.astype(np.float32), deviation


def _smoothed(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    smoothed: Any = cv2.GaussianBlur(cells, (0, 0), POSITION_SMOOTHING_CELLS)
    return np.asarray(smoothed)
