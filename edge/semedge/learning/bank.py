"""Chooses the bank: features of normal places that stand for all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from semedge.inference.feature_maps import BANK_OUTPUTS, Bank
from semedge.learning.gaussian import RIDGE, gaussian_of

Array = NDArray[np.float32]

COMPONENTS = 64
ITEMS = 1000
LEAST_VARIANCE = 1e-12
LEAST_DEVIATION = 1e-4
LIKE_DEVIATIONS = 0.5
"""Statistics that differ by less, in standard deviations, are alike."""


def fit_bank(features: Array, channels: Mapping[str, int], items: int = ITEMS) -> Bank:
    """The bank of averaged features `(n, d)`.

    Each output of the network counts alike: its features are divided by the root of their total
    variance. The leading components of all are kept.

    Parameters
    ----------
    features
        Of normal places, the network's outputs side by side.
    channels
        Features of each output in them.
    items
        Size of the bank.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(features)
    ends = np.cumsum([channels[name] for name in BANK_OUTPUTS])
    scales = np.concatenate(
        [
            np.full(len(variances), 1 / np.sqrt(max(variances.sum(), LEAST_VARIANCE)))
            for variances in np.split(np.diag(covariance), ends[:-1])
        ]
    )
    _, vectors = np.linalg.eigh(scales[:, None] * covariance * scales)
    projection = (scales[:, None] * vectors[:, ::-1][:, :COMPONENTS]).astype(np.float32)
    offset = (mean @ projection).astype(np.float32)
    projected = features @ projection - offset
    return Bank(None, projection, offset, spread_items(projected, items))


def fit_statistics_bank(output: str, statistics: Array, items: int = ITEMS) -> Bank:
    """The bank of statistics `(n, d)` of gray values or of colours, in components of unit variance.

    Each statistic is standardized first, so that its own scale does not decide how much it counts.
    Of places that are alike, one is enough.
    """
    scales = np.maximum(statistics.std(axis=0), np.float32(LEAST_DEVIATION))
    mean, whitening = gaussian_of(statistics / scales, RIDGE, kept=1)
    projection = whitening / scales[:, None]
    offset = mean @ whitening
    places = statistics @ projection - offset
    steps = np.round(places / LIKE_DEVIATIONS).astype(np.int32)
    _, first = np.unique(steps, axis=0, return_index=True)
    return Bank(output, projection, offset, spread_items(places[np.sort(first)], items))


def spread_items(places: Array, count: int) -> Array:
    """At most `count` of the places `(n, k)` that lie far apart (greedy k-centre).

    The first is the one nearest to the origin, which is the mean of a bank's features.

    Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985).
    """
    squares = np.einsum("ij,ij->i", places, places)
    chosen = [int(squares.argmin())]
    distances = np.full(len(places), np.inf, np.float32)
    for _ in range(min(count, len(places)) - 1):
        last = places[chosen[-1]]
        np.minimum(distances, squares - 2 * (places @ last) + last @ last, out=distances)
        chosen.append(int(distances.argmax()))
    return places[chosen]
