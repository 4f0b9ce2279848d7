"""From the models' distances to the score of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.feature_manifest import (
    BORDER_ARRAYS,
    POSITION_ARRAYS,
    FeatureScore,
    MapGroup,
    Position,
)
from semedge.inference.grid import PatchGrid

Array = NDArray[np.float32]

SMALLEST_DISTANCE = 1e-9
"""Below it, distances are taken as this one, so that their logarithm is finite."""
MOST_OTHER_SIZE = 0.1


def log_distances(cells: Array) -> Array:
    """Logarithm of smoothed distances: what multiplies a distance becomes a difference."""
    logarithm: Array = np.log(np.maximum(cells, np.float32(SMALLEST_DISTANCE)))
    return logarithm


def group_values(group: MapGroup, logarithms: Mapping[str, Array]) -> Array:
    """The weighted mean of a group's maps, from each map's logarithms by name."""
    total = sum(
        np.float32(each.weight) * each.scale.apply(logarithms[each.name]) for each in group.maps
    )
    return np.asarray(total, np.float32)


def combined(groups: tuple[MapGroup, ...], logarithms: Mapping[str, Array]) -> Array:
    """Each cell's value in the group in which it stands out most."""
    values = [group.scale.apply(group_values(group, logarithms)) for group in groups]
    highest: Array = np.maximum.reduce(values)
    return highest


def border_distances(grid: PatchGrid, most: int) -> NDArray[np.intp]:
    """Cells between each cell `(rows, columns)` and the nearest border, up to `most`."""
    rows, columns = (
        np.minimum(starts, length_px - grid.patch_px - starts) // grid.patch_px
        for starts, length_px in zip((grid.tops, grid.lefts), grid.frame_shape, strict=True)
    )
    nearest: NDArray[np.intp] = np.minimum(np.minimum(rows[:, None], columns[None]), most)
    return nearest


def without_border(values: Array, grid: PatchGrid, mean: Array, deviation: Array) -> Array:
    """Values as if every cell lay far from the border.

    A network that sees the frame mirrored at its border gives other values there. Each cell is
    compared with normal cells as near to the border: their mean becomes that of cells far from it,
    and so does their deviation where it is larger. Where it is smaller, as around an object in the
    middle of the frame, it stays. `mean` and `deviation` are by distance in cells, the last for all
    that lie farther.
    """
    distance = border_distances(grid, len(mean) - 1)
    shares = np.minimum(deviation[-1] / deviation, 1)
    inner: Array = (values - mean[distance]) * shares[distance] + mean[-1]
    return inner


def by_position(values: Array, position: Position, mean: Array, deviation: Array) -> Array:
    """Values that count in part by how they differ from those of the same cell.

    `mean` and `deviation` are of each cell over normal frames, on any grid of the frame.
    """
    weight = np.float32(position.weight)
    mixed: Array = (1 - weight) * position.values.apply(values)
    mixed += weight * position.cell_by_cell.apply(cell_by_cell_of(values, mean, deviation))
    return mixed


def cell_by_cell_of(values: Array, mean: Array, deviation: Array) -> Array:
    """Values standardized by those of the same place; both on any grid of the frame."""
    shape = (values.shape[0], values.shape[1])
    standardized: Array = (values - resized(mean, shape)) / resized(deviation, shape)
    return standardized


def similar_shape(found: tuple[int, int], known: tuple[int, int]) -> bool:
    """Whether a frame is as large as others to a tenth, so that things lie alike in it."""
    return all(
        abs(side_px - known_px) <= MOST_OTHER_SIZE * known_px
        for side_px, known_px in zip(found, known, strict=True)
    )


def resized(cells: Array, shape: tuple[int, int]) -> Array:
    """A map of cells for another grid of the same frame."""
    if cells.shape == shape:
        return cells
    larger: Any = cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(larger)


def scores_of(
    score: FeatureScore,
    logarithms: Mapping[str, Array],
    grid: PatchGrid,
    arrays: Mapping[str, Array],
    frame_shape: tuple[int, int] | None,
) -> Array:
    """Score of each cell `(rows, columns)`.

    Parameters
    ----------
    score
        How maps are combined.
    logarithms
        Of each map's smoothed distances, by the map's name.
    grid
        The cells.
    arrays
        The bundle's arrays: means and deviations near the border and by position.
    frame_shape
        Height and width of the frames whose places are known; None where none are.
    """
    values = combined(score.groups, logarithms)
    values = without_border(values, grid, *(arrays[name] for name in BORDER_ARRAYS))
    if score.position is not None:
        if frame_shape is None or not similar_shape(grid.frame_shape, frame_shape):
            raise SemedgeError(_other_size(grid.frame_shape, frame_shape))
        values = by_position(values, score.position, *(arrays[name] for name in POSITION_ARRAYS))
    return score.scale.apply(values)


def _other_size(found: tuple[int, int], known: tuple[int, int] | None) -> str:
    height, width = found
    known_height, known_width = known or (0, 0)
    return (
        f"frames have {width}x{height} px, and this detector knows where things lie in frames of "
        f"{known_width}x{known_height} px; give it those, or learn the material with position=off."
    )
