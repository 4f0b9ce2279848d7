"""How far the features of each place are from those of normal material, by two models.

A Gaussian knows the shape of one texture: the directions in which normal features vary least tell
most (Rippel et al., "Modeling the Distribution of Normal Data in Pre-Trained Deep Features for
Anomaly Detection", 2020). A bank of normal features knows material of several kinds, wires and
holes, cells and bars: the distance to the nearest of them (Roth et al., "Towards Total Recall in
Industrial Anomaly Detection", 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.inference.feature_network import averaged
from semedge.inference.frame_tiles import grouped

Array = NDArray[np.float32]

CONTEXT_PLACES = 3
"""Places a side over which the deeper blocks' features are averaged for the bank."""
BANK_OUTPUTS = ("f5", "f6", "f9")
MOST_CHANNELS = 64
"""Channels that OpenCV filters at once."""
BLOCK_PLACES = 256
"""Places that are compared with the bank at once, so that the distances stay in the cache."""


class FeatureModel(Protocol):
    """What gives each place a distance from normal features."""

    def distances(self, outputs: Mapping[str, Array]) -> Array:
        """Distance `(rows, columns)` of each place, from the network's outputs by name."""
        ...

    def arrays(self) -> dict[str, Array]:
        """What the bundle keeps of it, by the end of the name."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Squared Mahalanobis distance by the number of directions: 1 on average for normal texture.

    Attributes
    ----------
    output
        The network's output that is judged.
    mean
        Shape `(d,)`.
    whitening
        Shape `(d, k)`: maps centred features to unit covariance.
    """

    output: str
    mean: Array
    whitening: Array

    def distances(self, outputs: Mapping[str, Array]) -> Array:
        """Distance `(rows, columns)` of each place."""
        values = features_of(self.output, outputs)
        flat = values.reshape(-1, values.shape[-1])
        whitened = flat @ self.whitening
        whitened -= self.mean @ self.whitening
        squared = np.einsum("ij,ij->i", whitened, whitened)
        squared /= whitened.shape[1]
        return squared.reshape(values.shape[:2])

    def arrays(self) -> dict[str, Array]:
        """Mean and whitening."""
        return {"mean": self.mean, "whitening": self.whitening}


@dataclass(frozen=True)
class Bank:
    """Squared distance to the nearest of some features of normal places.

    Attributes
    ----------
    output
        What is judged: `gray` or `colour` for statistics, None for the network's features.
    projection
        Shape `(d, k)`: from a place's features to the components that are compared.
    offset
        Shape `(k,)`: taken off after the projection.
    items
        Shape `(n, k)`: features of normal places.
    """

    output: str | None
    projection: Array
    offset: Array
    items: Array

    def distances(self, outputs: Mapping[str, Array]) -> Array:
        """Distance `(rows, columns)` of each place."""
        values = self.project(outputs)
        nearest = nearest_squares(values.reshape(-1, values.shape[-1]), self.items)
        return nearest.reshape(values.shape[:2])

    def project(self, outputs: Mapping[str, Array]) -> Array:
        """Components `(rows, columns, k)` of each place's features."""
        if self.output is None:
            return bank_features(outputs, self.projection) - self.offset
        return outputs[self.output] @ self.projection - self.offset

    def arrays(self) -> dict[str, Array]:
        """Projection, offset and items."""
        return {"projection": self.projection, "offset": self.offset, "items": self.items}


def nearest_squares(places: Array, items: Array) -> Array:
    """Squared distance of each of the places `(n, k)` to the nearest of the items `(m, k)`."""
    # The items' squares are added by the product itself, with a component of the places that is 1.
    turned = np.concatenate([-2 * items.T, np.einsum("ij,ij->i", items, items)[None]])
    extended = np.concatenate([places, np.ones((len(places), 1), np.float32)], axis=1)
    nearest = np.empty(len(places), np.float32)
    for start in range(0, len(places), BLOCK_PLACES):
        products = extended[start : start + BLOCK_PLACES] @ turned
        nearest[start : start + BLOCK_PLACES] = products.min(axis=1)
    nearest += np.einsum("ij,ij->i", places, places)
    return np.maximum(nearest, 0)


def features_of(output: str, outputs: Mapping[str, Array]) -> Array:
    """Features `(rows, columns, d)` that a Gaussian judges."""
    rows, columns, _ = outputs["f6"].shape
    return grouped(outputs[output], (rows, columns))


def bank_features(outputs: Mapping[str, Array], projection: Array | None = None) -> Array:
    """Features `(rows, columns, d)` of each place that a bank compares.

    Those of the 5th block are of the place itself; those of the deeper blocks are averaged over the
    3x3 places around it. They are projected first where a matrix `(d, k)` is given, for both orders
    give the same and projected features are fewer.
    """
    own = averaged(outputs["f5"])
    around = np.concatenate([outputs["f6"], outputs["f9"]], axis=-1)
    if projection is None:
        return np.concatenate([own, blurred(around)], axis=-1)
    first = own.shape[-1]
    return own @ projection[:first] + blurred(around @ projection[first:])


def blurred(values: Array) -> Array:
    """The mean `(rows, columns, d)` over the 3x3 places around each."""
    size = (CONTEXT_PLACES, CONTEXT_PLACES)
    means = np.empty_like(values)
    for first in range(0, values.shape[-1], MOST_CHANNELS):
        part: Any = values[..., first : first + MOST_CHANNELS]
        mean: Any = cv2.blur(part, size, borderType=cv2.BORDER_REFLECT_101)
        # OpenCV drops an axis of length one.
        means[..., first : first + MOST_CHANNELS] = mean.reshape(part.shape)
    return means
