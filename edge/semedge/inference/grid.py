"""The grid of the patches of a frame, and the map of their scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage


def _starts(length_px: int, patch_px: int, stride_px: int) -> NDArray[np.intp]:
    """First pixel of every patch along one axis; the last one snaps to the border."""
    starts = np.arange(0, length_px - patch_px + 1, stride_px)
    if starts[-1] + patch_px < length_px:
        starts = np.append(starts, length_px - patch_px)
    return starts


def _averaging(starts: NDArray[np.intp], patch_px: int, length_px: int) -> NDArray[np.float32]:
    """Matrix `(patches, length)` that gives each pixel the mean over the patches covering it."""
    pixels = np.arange(length_px)
    covers = (starts[:, None] <= pixels) & (pixels < starts[:, None] + patch_px)
    weights: NDArray[np.float32] = (covers / covers.sum(axis=0)).astype(np.float32)
    return weights


@dataclass(frozen=True)
class PatchGrid:
    """Square patches on a regular grid that covers every pixel of a frame.

    Attributes
    ----------
    frame_shape
        Height and width of the frame in pixels.
    patch_px
        Side of a patch.
    stride_px
        Distance between neighbouring patches, at most `patch_px`, so that no pixel is left out.

    Examples
    --------
    >>> grid = PatchGrid((70, 100), patch_px=32, stride_px=32)
    >>> grid.shape, len(grid)
    ((3, 4), 12)
    """

    frame_shape: tuple[int, int]
    patch_px: int
    stride_px: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride_px <= self.patch_px:
            raise SemedgeError(
                f"stride_px must be between 1 and the patch side of {self.patch_px} px, so that "
                f"every pixel is inspected. Received: {self.stride_px}"
            )
        height, width = self.frame_shape
        if min(height, width) < self.patch_px:
            raise SemedgeError(
                f"The frame of {width}x{height} px is smaller than a patch of "
                f"{self.patch_px}x{self.patch_px} px; use larger frames, or a detector with "
                "smaller patches."
            )

    @cached_property
    def tops(self) -> NDArray[np.intp]:
        """First row of each row of patches, shape `(rows,)`."""
        return _starts(self.frame_shape[0], self.patch_px, self.stride_px)

    @cached_property
    def lefts(self) -> NDArray[np.intp]:
        """First column of each column of patches, shape `(columns,)`."""
        return _starts(self.frame_shape[1], self.patch_px, self.stride_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return len(self.tops), len(self.lefts)

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def cut(self, image: GrayImage) -> GrayImage:
        """Patches of `image` row by row, shape `(len(grid), patch_px, patch_px, 1)`.

        One copy, from a strided view of the frame; the type of the pixels stays.
        """
        if image.shape != self.frame_shape:
            raise SemedgeError(
                f"The grid was made for frames of shape {self.frame_shape}. Received: {image.shape}"
            )
        windows: NDArray = sliding_window_view(image, (self.patch_px, self.patch_px))
        patches = windows[self.tops[:, None], self.lefts]
        cut: GrayImage = patches.reshape(len(self), self.patch_px, self.patch_px, 1)
        return cut

    def cut_chosen(
        self, image: GrayImage, chosen: NDArray[np.intp] | NDArray[np.bool_]
    ) -> GrayImage:
        """The chosen patches of an image whose upper left part the grid covers, `(n, …)`."""
        cut: GrayImage = self.cut(self.crop(image))[chosen]
        return cut

    def touches(self, mask: NDArray[np.bool_], reach_px: int = 0) -> NDArray[np.bool_]:
        """Whether each patch, or what lies within `reach_px` of it, has a pixel of the mask.

        Shape `(len(grid),)`.
        """
        counts = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        height, width = self.frame_shape
        above = np.maximum(self.tops - reach_px, 0)[:, None]
        below = np.minimum(self.tops + self.patch_px + reach_px, height)[:, None]
        left = np.maximum(self.lefts - reach_px, 0)
        right = np.minimum(self.lefts + self.patch_px + reach_px, width)
        inside = counts[below, right] - counts[above, right]
        inside += counts[above, left] - counts[below, left]
        touched: NDArray[np.bool_] = (inside > 0).reshape(-1)
        return touched

    def crop(self, image: NDArray) -> NDArray:
        """The upper left part of a larger image that the grid covers, shape `frame_shape`."""
        height, width = self.frame_shape
        return image[:height, :width]

    def lay_out(self, patch_scores: NDArray[np.floating]) -> NDArray[np.floating]:
        """Patch scores `(len(grid),)` as a map `(rows, columns)`."""
        return patch_scores.reshape(self.shape)

    def to_pixels(self, patch_scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Score of every pixel, shape `frame_shape`: the mean over the patches that cover it."""
        rows = self._row_averaging
        columns = self._column_averaging
        pixels: NDArray[np.float32] = (
            rows.T @ self.lay_out(patch_scores).astype(np.float32) @ columns
        )
        return pixels

    @cached_property
    def _row_averaging(self) -> NDArray[np.float32]:
        return _averaging(self.tops, self.patch_px, self.frame_shape[0])

    @cached_property
    def _column_averaging(self) -> NDArray[np.float32]:
        return _averaging(self.lefts, self.patch_px, self.frame_shape[1])
