"""PaDiM and PatchCore by their papers, on the features that semedge judges, at the frames' size.

Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization" (2020); Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (2022).
Both take the blocks 5, 6 and 9 of the same int8 graph, at the 5th block's stride of 8 px.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.feature_maps import blurred, nearest_squares
from semedge.inference.feature_network import FeatureNetwork
from semedge.inference.scaling import scale_patches
from semedge.learning.bank import spread_items
from semedge.learning.learn import features_content

Array = NDArray[np.float32]

SMOOTHING_PX = 4.0
"""Of both papers' maps."""
PADIM_DIMENSIONS = 100
PADIM_RIDGE = 0.01
CORESET_SHARE, CORESET_MOST = 0.01, 2000
STRIDE_PX = 16
THREADS = 2


class Peer(Protocol):
    """A method that is fitted to normal frames and gives a map of scores."""

    def fit(self, frames: Sequence[GrayImage]) -> None:
        """Learn normal frames."""

    def pixel_scores(self, image: GrayImage) -> Array:
        """Score of each pixel of a frame."""

    @property
    def size_bytes(self) -> int:
        """What it stores beside the network."""


class Features:
    """The blocks 5, 6 and 9 on the grid of block 5."""

    def __init__(self) -> None:
        self._network = FeatureNetwork(features_content(), threads=THREADS)

    def of(self, image: GrayImage, shape: tuple[int, int] | None = None) -> Array:
        """Features `(rows, columns, 232)` of a frame, resized to a shape where one is given."""
        if shape is not None and image.shape != shape:
            resized: Any = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
            image = resized
        height, width = image.shape
        below, right = (-side % STRIDE_PX for side in (height, width))
        whole: Any = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101)
        outputs = self._network.run(scale_patches(whole[None, ..., None], "range"))
        size = outputs["f5"].shape[:2][::-1]
        deeper = [_enlarged(outputs[name], size) for name in ("f6", "f9")]
        return np.concatenate([outputs["f5"], *deeper], axis=-1)


class Padim:
    """A Gaussian for each position, of 100 features chosen at random."""

    def __init__(self) -> None:
        self._features = Features()

    def fit(self, frames: Sequence[GrayImage]) -> None:
        """Mean and precision of each position."""
        heights, widths = zip(*(frame.shape for frame in frames), strict=True)
        self._shape = (int(np.median(heights)), int(np.median(widths)))
        stack = np.stack([self._features.of(frame, self._shape) for frame in frames])
        chosen = np.random.default_rng(0).permutation(stack.shape[-1])[:PADIM_DIMENSIONS]
        self._chosen = np.sort(chosen)
        values = stack[..., self._chosen].reshape(len(frames), -1, PADIM_DIMENSIONS)
        self._mean = values.mean(axis=0)
        centred = values - self._mean
        ridge = PADIM_RIDGE * np.eye(PADIM_DIMENSIONS)
        self._precision = np.empty(
            (values.shape[1], PADIM_DIMENSIONS, PADIM_DIMENSIONS), np.float32
        )
        for place in range(values.shape[1]):
            part = centred[:, place].astype(np.float64)
            covariance = part.T @ part / max(1, len(frames) - 1) + ridge
            self._precision[place] = np.linalg.inv(covariance)

    def pixel_scores(self, image: GrayImage) -> Array:
        """Mahalanobis distance of each position."""
        features = self._features.of(image, self._shape)[..., self._chosen]
        centred = features.reshape(-1, PADIM_DIMENSIONS) - self._mean
        whitened = np.matmul(centred[:, None], self._precision)[:, 0]
        squares = np.einsum("ij,ij->i", whitened, centred)
        distances = np.sqrt(np.maximum(squares, 0)).reshape(features.shape[:2])
        return _smoothed(distances, image.shape)

    @property
    def size_bytes(self) -> int:
        """Means and precisions."""
        return int(self._mean.nbytes + self._precision.nbytes)


class PatchCore:
    """The distance to the nearest of some normal features, averaged over 3x3 places."""

    def __init__(self) -> None:
        self._features = Features()

    def fit(self, frames: Sequence[GrayImage]) -> None:
        """Choose the coreset."""
        random = np.random.default_rng(0)
        share = 60_000 // len(frames)
        parts, places = [], 0
        for frame in frames:
            features = self._around(frame)
            flat = features.reshape(-1, features.shape[-1])
            places += len(flat)
            parts.append(flat[random.permutation(len(flat))[:share]])
        count = min(CORESET_MOST, max(1, int(CORESET_SHARE * places)))
        self._items = spread_items(np.concatenate(parts), count)

    def pixel_scores(self, image: GrayImage) -> Array:
        """Distance of each place."""
        features = self._around(image)
        nearest = nearest_squares(features.reshape(-1, features.shape[-1]), self._items)
        distances = np.sqrt(nearest).reshape(features.shape[:2])
        return _smoothed(distances, image.shape)

    @property
    def size_bytes(self) -> int:
        """The coreset."""
        return int(self._items.nbytes)

    def _around(self, image: GrayImage) -> Array:
        return blurred(self._features.of(image))


def _enlarged(values: Array, size: tuple[int, int]) -> Array:
    parts = [
        cv2.resize(np.ascontiguousarray(values[..., first : first + 4]), size)
        for first in range(0, values.shape[-1], 4)
    ]
    return np.concatenate(parts, axis=-1)


def _smoothed(distances: Array, shape: tuple[int, ...]) -> Array:
    height, width = shape
    larger: Any = cv2.resize(distances, (width, height), interpolation=cv2.INTER_LINEAR)
    smoothed: Any = cv2.GaussianBlur(larger, (0, 0), SMOOTHING_PX)
    return np.asarray(smoothed)
