"""What of normal frames is learned from, where regions are left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.feature_score import border_distances
from semedge.inference.grid import PatchGrid
from semedge.inference.network_input import FeatureInput

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def cells_seeing(left_out: Mask, frame_input: FeatureInput) -> Mask:
    """Whether a cell's score depends on a pixel that is left out `(rows, columns)`."""
    grid = _grid_of(left_out, frame_input)
    return grid.touches(left_out, frame_input.reach_px).reshape(grid.shape)


def nothing_left(shape: tuple[int, ...], frame_input: FeatureInput) -> SemedgeError:
    """The error where frames of this shape have no place that could be learned from."""
    height, width = shape
    return SemedgeError(
        f"Nothing is left of frames of {width}x{height} px to learn from: everything lies within "
        f"{frame_input.reach_px} px of what is left out; leave out smaller regions."
    )


class InspectedCells:
    """The cells that see nothing of what is left out, in frames of one size.

    Parameters
    ----------
    left_out
        True where nothing is inspected `(height, width)`.
    frame_input
        How frames are shown to the network.

    Attributes
    ----------
    inspected
        Whether a cell sees nothing of it `(rows, columns)`.

    Raises
    ------
    SemedgeError
        Where no such cell is left.
    """

    def __init__(self, left_out: Mask, frame_input: FeatureInput) -> None:
        self._grid = _grid_of(left_out, frame_input)
        self.inspected = ~cells_seeing(left_out, frame_input)
        if not self.inspected.any():
            raise nothing_left(left_out.shape, frame_input)
        self._sources = self._find_sources()

    def filled(self, cells: Array) -> Array:
        """A map in which the other cells have the values of these, evenly chosen.

        So they count in no statistic, and in none by the distance from the border, beside those of
        inspected cells.
        """
        found: Array = cells.reshape(-1)[self._sources].reshape(cells.shape)
        return found

    def hidden_pixels(self) -> Mask:
        """True where no inspected cell lies `(height, width)`."""
        hidden: Mask = self._grid.to_pixels(self.inspected.reshape(-1).astype(np.float32)) <= 0
        return hidden

    def _find_sources(self) -> NDArray[np.intp]:
        """The cell whose value each cell has: its own, or that of one as far from the border."""
        inspected = self.inspected.reshape(-1)
        distance = border_distances(self._grid, max(self._grid.shape)).reshape(-1)
        known = np.unique(distance[inspected])
        sources = np.arange(len(inspected))
        for cells in np.unique(distance[~inspected]):
            nearest = known[np.abs(known - cells).argmin()]
            candidates = np.flatnonzero(inspected & (distance == nearest))
            others = np.flatnonzero(~inspected & (distance == cells))
            chosen = np.linspace(0, len(candidates) - 1, len(others)).astype(np.intp)
            sources[others] = candidates[chosen]
        return sources


def _grid_of(left_out: Mask, frame_input: FeatureInput) -> PatchGrid:
    height, width = left_out.shape
    return PatchGrid((height, width), frame_input.cell_px, frame_input.cell_px)
