"""How a frame becomes the tiles that a network takes, and a score map the scores of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage, GrayImage
from semedge.inference.grid import PatchGrid
from semedge.inference.network_input import FrameGeometry
from semedge.inference.scaling import scale_locally, scale_patches
from semedge.inference.scores.distances import Tensor
from semedge.inference.tiling import Span

Shape = tuple[int, int]
Prepared = GrayImage | NDArray[np.float32]
"""A frame ready to be cut into tiles: gray values, or scaled values."""


def prepare_frame(image: GrayImage, frame_input: FrameGeometry) -> Prepared:
    """The frame magnified, and extended by reflection on every side.

    The pixel type stays, unless the frame is scaled by the surroundings of each pixel.
    """
    scaled = scale_locally(image) if frame_input.scaling == "local" else image
    margin = frame_input.margin_px
    shown = magnified(scaled, frame_input.magnification)
    return continued(shown, (margin, margin, margin, margin))


def magnified(image: Prepared, magnification: float) -> Prepared:
    """The image with its sides times the magnification."""
    if magnification == 1:
        return image
    height, width = (max(1, round(side * magnification)) for side in image.shape[:2])
    how = cv2.INTER_AREA if magnification < 1 else cv2.INTER_LINEAR
    larger: Any = cv2.resize(image, (width, height), interpolation=how)
    return np.asarray(larger)


def tile_values(tile: Prepared) -> NDArray[np.float32]:
    """A tile of the prepared frame as a graph takes it, `(1, height, width, 1)`."""
    batch: Any = tile[None, ..., None]
    scaled: NDArray[np.float32] = (
        batch if batch.dtype == np.float32 else scale_patches(batch, "range")
    )
    return scaled


def continued(image: Prepared, sides_px: tuple[int, int, int, int]) -> Prepared:
    """The image extended by reflection above, below, on the left and on the right."""
    if not any(sides_px):
        return image
    top, bottom, left, right = sides_px
    longer: Any = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    return longer


def cut_tile(frame: Prepared, rows: Span, columns: Span, tile_shape: Shape) -> Prepared:
    """A tile of the prepared frame; what lies beyond the frame is its reflection."""
    part = frame[rows.start : rows.stop, columns.start : columns.stop]
    below, right = (side - shown for side, shown in zip(tile_shape, part.shape, strict=True))
    return continued(part, (0, below, 0, right))


def cells_of(
    score_map: NDArray[np.float32], grid: PatchGrid, frame_input: FrameGeometry
) -> NDArray[np.float32]:
    """Scores of the grid's cells `(rows, columns)` from a map with a value every stride."""
    rows, columns = (
        _positions(_judged_at(starts + grid.patch_px / 2, side_px, frame_input), frame_input)
        for starts, side_px in zip((grid.tops, grid.lefts), grid.frame_shape, strict=True)
    )
    across = np.broadcast_to(columns, grid.shape)
    down = np.broadcast_to(rows[:, None], grid.shape)
    cells: Any = cv2.remap(
        score_map,
        np.ascontiguousarray(across),
        np.ascontiguousarray(down),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if frame_input.smoothing_px:
        sigma = frame_input.smoothing_px / grid.stride_px
        cells = cv2.GaussianBlur(cells, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    smoothed: NDArray[np.float32] = cells
    return smoothed


def grouped(features: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Features of a finer map, grouped by the `shape` places that they lie in.

    Parameters
    ----------
    features
        Shape `(k * rows, k * columns, channels)`.
    shape
        Rows and columns.

    Returns
    -------
    NDArray
        Shape `(rows, columns, k * k * channels)`; the same features where k is 1.
    """
    rows, columns = shape
    finer = features.shape[0] // rows
    if finer == 1:
        return features
    blocks = features.reshape(rows, finer, columns, finer, -1).swapaxes(1, 2)
    return blocks.reshape(rows, columns, -1)


def chosen_scores(
    score_image: Callable[[Any, PatchGrid], tuple[dict[str, Tensor], dict[str, float]]],
    cell_px: int,
    picture: AnyImage,
    grid: PatchGrid,
    chosen: NDArray[np.intp],
) -> dict[str, Tensor]:
    """Scores of the chosen patches of a grid that covers the frame's upper left part, by name.

    The score of a patch is the highest of the cells of `cell_px` that lie in it.
    """
    height, width = picture.shape[:2]
    cells = PatchGrid((height, width), cell_px, min(cell_px, grid.stride_px))
    by_cell, _ = score_image(picture, cells)
    if grid == cells:
        return {name: values[chosen] for name, values in by_cell.items()}
    scores = {}
    for name, values in by_cell.items():
        pixels: Any = grid.crop(cells.to_pixels(values))
        scores[name] = grid.cut(pixels)[chosen].max(axis=(1, 2, 3))
    return scores


def _judged_at(
    centres_px: NDArray[np.floating], side_px: int, frame_input: FrameGeometry
) -> NDArray[np.floating]:
    """Positions along a side of the frame from which the scores of the cells are taken."""
    border_px = min(frame_input.border_px, side_px / 2)
    return np.clip(centres_px, border_px, side_px - border_px)


def _positions(centres_px: NDArray[np.floating], frame_input: FrameGeometry) -> NDArray[np.float32]:
    """Positions of the frame's pixels in units of the map's values."""
    network_px = centres_px * frame_input.magnification + frame_input.margin_px
    positions: NDArray[np.float32] = (network_px / frame_input.feature_stride_px - 0.5).astype(
        np.float32
    )
    return positions


def used_places(span: Span, stride_px: int, origin_px: int = 0) -> slice:
    """Positions of a map with a value every stride that lie in the used part of a tile."""
    return slice(
        (span.used_start - origin_px) // stride_px, -(-(span.used_stop - origin_px) // stride_px)
    )
