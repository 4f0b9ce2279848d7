"""Features of normal places, which models are fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.inference.colour_statistics import COLOUR
from semedge.inference.feature_extractor import FeatureExtractor
from semedge.inference.feature_maps import FeatureModel, bank_features, features_of
from semedge.inference.feature_network import OUTPUTS
from semedge.inference.gray_statistics import GRAY
from semedge.learning.bank import fit_bank, fit_statistics_bank
from semedge.learning.gaussian import fit_gaussian
from semedge.learning.plan import Plan
from semedge.learning.regions import cells_seeing

Array = NDArray[np.float32]

BANK = "bank"
FIT_PLACES = 20_000
"""Places that a model is fitted to, at most."""

STATISTICS = frozenset((GRAY, COLOUR))
"""What is judged that does not come from the network."""

STOOD_OUT_PLACES = 50
"""Places of a false alarm that are fitted to because they alarmed, at most."""

FrameSample = Mapping[str, Array]
"""Features at places of one frame, by what is judged: `(places, d)`."""


def sample_frame(
    extractor: FeatureExtractor,
    picture: AnyImage,
    plan: Plan,
    places: int,
    random: np.random.Generator,
    pool: Executor,
    stood_out: NDArray[np.bool_] | None = None,
    left_out: NDArray[np.bool_] | None = None,
) -> FrameSample:
    """Features at up to `places` random places inside the frame, and statistics at all places.

    Statistics are few numbers for each place, and their bank must know the rare ones too, such as
    those of the largest void.

    Up to `STOOD_OUT_PLACES` of the cells that stood out, `(rows, columns)` on any grid of the
    frame, are added. No place is taken that sees a pixel of `left_out`, of the frame's shape; where
    none remains, the sample is empty.
    """
    prepared = extractor.prepare(picture, pool)
    rows, columns = extractor.inside(prepared)
    shape = prepared.places
    inside = np.zeros(shape, bool)
    inside[rows, columns] = True
    if left_out is not None:
        seen = cells_seeing(left_out, extractor.input)
        inside[rows, columns] &= ~_on_grid(seen, inside[rows, columns].shape)
        if not inside.any():
            return {}
    candidates = np.flatnonzero(inside)
    chosen = np.zeros(inside.size, bool)
    chosen[random.permutation(candidates)[:places]] = True
    if stood_out is not None:
        marked = np.zeros(shape, bool)
        marked[rows, columns] = _on_grid(stood_out, inside[rows, columns].shape)
        marked &= inside
        chosen[random.permutation(np.flatnonzero(marked))[:STOOD_OUT_PLACES]] = True
    wanted = chosen.reshape(shape)
    gathered: dict[str, list[Array]] = {}
    names = {each.output or BANK for each in plan.maps}
    for tile in extractor.tiles(prepared):
        there = wanted[tile.target]
        for name in names & STATISTICS:
            statistics = tile.outputs[name][tile.inner][inside[tile.target]]
            gathered.setdefault(name, []).append(statistics)
        if not there.any():
            continue
        for name in names - STATISTICS:
            values = (
                bank_features(tile.outputs) if name == BANK else features_of(name, tile.outputs)
            )
            gathered.setdefault(name, []).append(values[tile.inner][there])
    return {name: np.concatenate(parts) for name, parts in gathered.items()}


def _on_grid(cells: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether each cell of a grid of this shape contains a marked cell of another grid."""
    rows = np.arange(cells.shape[0]) * shape[0] // cells.shape[0]
    columns = np.arange(cells.shape[1]) * shape[1] // cells.shape[1]
    found = np.zeros(shape, bool)
    at = np.nonzero(cells)
    found[rows[at[0]], columns[at[1]]] = True
    return found


def fit_models(samples: Sequence[FrameSample], plan: Plan) -> dict[str, FeatureModel]:
    """The plan's models, by the names of their maps, fitted to the samples of some frames."""
    models: dict[str, FeatureModel] = {}
    for each in plan.maps:
        name = each.output or BANK
        features = np.concatenate([sample[name] for sample in samples])
        if each.output is None:
            models[each.name] = fit_bank(features, OUTPUTS)
        elif each.output in STATISTICS:
            models[each.name] = fit_statistics_bank(each.output, features)
        else:
            models[each.name] = fit_gaussian(each.output, features)
    return models
