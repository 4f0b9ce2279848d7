"""Chooses the bank: features of normal places that stand for all of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from semedge.inference.feature_maps import BANK_OUTPUTS, Bank, nearest_squares
from semedge.learning.gaussian import RIDGE, gaussian_of

Array = NDArray[np.float32]

COMPONENTS = 64
ITEMS = 1000
LEAST_VARIANCE = 1e-12
LEAST_DEVIATION = 1e-4
LEAST_SQUARE = 1e-12
FIRST_SHARE = 0.25
"""Share of a statistics bank's items that are drawn before any distance is known."""
ROUNDS = 6
"""The other items are drawn in so many rounds."""
DISTANCE_POWER = 8.0
"""Places are drawn in proportion to this power of their distance from the items so far. The higher
it is, the better rare places are covered, and the more a single frame changes."""


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
    """
    scales = np.maximum(statistics.std(axis=0), np.float32(LEAST_DEVIATION))
    mean, whitening = gaussian_of(statistics / scales, RIDGE, kept=1)
    projection = whitening / scales[:, None]
    offset = mean @ whitening
    places = statistics @ projection - offset
    return Bank(output, projection, offset, drawn_items(places, statistics, items))


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


def drawn_items(places: Array, described_by: Array, count: int) -> Array:
    """At most `count` of the places `(n, k)`, far apart, so that one frame changes few of them.

    Each place has a random number of its own, made from what describes it `(n, d)`. The first items
    are the places with the highest numbers; the others are drawn in rounds, those far from the
    items so far much likelier than those near them. Where one frame is replaced, its items are, and
    those near them, and hardly any other. Always taking the farthest place would make each item
    depend on all before it, and one other place would change most of them.

    Bahmani et al., "Scalable k-means++" (2012), with a higher power of the distance; drawn without
    replacement as by Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006).
    """
    numbers, distinct = np.unique(_numbers_of(described_by), return_index=True)
    places = places[distinct]
    if len(places) <= count:
        return places
    waits = np.log(-np.log(numbers))
    first = max(1, round(FIRST_SHARE * count))
    chosen = np.argsort(waits, kind="stable")[:first]
    squares = nearest_squares(places, places[chosen])
    for drawn in np.array_split(np.arange(first, count), ROUNDS):
        weighted = waits - DISTANCE_POWER / 2 * np.log(np.maximum(squares, LEAST_SQUARE))
        weighted[chosen] = np.inf
        new = np.argsort(weighted, kind="stable")[: len(drawn)]
        chosen = np.concatenate([chosen, new])
        np.minimum(squares, nearest_squares(places, places[new]), out=squares)
    return places[chosen]


def _numbers_of(rows: Array) -> NDArray[np.float64]:
    """A number between 0 and 1 for each row `(n, d)`, the same for equal rows."""
    digests = [zlib.crc32(row) for row in np.ascontiguousarray(rows)]
    return (np.array(digests, np.float64) + 0.5) / 2.0**32
