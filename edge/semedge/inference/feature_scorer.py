"""Scores frames by how normal the features of a pretrained network are at each place."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.core.timing import Stopwatch
from semedge.inference.bundle import Bundle
from semedge.inference.colour_statistics import COLOUR
from semedge.inference.feature_extractor import FeatureExtractor
from semedge.inference.feature_manifest import FEATURES, FeatureMap, FeatureScore
from semedge.inference.feature_maps import Bank, FeatureModel, Gaussian
from semedge.inference.feature_network import FeatureNetwork
from semedge.inference.feature_score import log_distances, scores_of
from semedge.inference.frame_tiles import cells_of, chosen_scores
from semedge.inference.gray_statistics import GRAY
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import worker_count
from semedge.inference.network_input import FeatureInput

Array = NDArray[np.float32]


class FeatureScorer:
    """Scores of a bundle that judges pretrained features.

    Parameters
    ----------
    bundle
        What to run.
    scores
        Names of the wanted scores: the bundle's own, and each map alone.
    workers
        Threads of the network; the usable cores where None.

    Attributes
    ----------
    batch
        Tiles that the network takes at once.
    """

    batch = 1

    def __init__(
        self, bundle: Bundle, scores: Mapping[str, Mapping[str, float]], workers: int | None = None
    ) -> None:
        manifest = bundle.manifest
        assert isinstance(manifest.input, FeatureInput)
        assert isinstance(manifest.score, FeatureScore)
        self.input = manifest.input
        self._score = manifest.score
        self._wanted = tuple(scores)
        self._arrays = bundle.arrays()
        self._models = {each.name: model_of(each, self._arrays) for each in self._score.maps}
        self._extractor = FeatureExtractor(
            FeatureNetwork(bundle.graph(FEATURES), threads=worker_count(workers)),
            self.input,
            gray=self._score.judges(GRAY),
            colour=self._score.judges(COLOUR),
        )
        self._pool = ThreadPoolExecutor(worker_count(workers), thread_name_prefix="maps")

    def score_image(
        self, picture: AnyImage, grid: PatchGrid
    ) -> tuple[dict[str, Array], dict[str, float]]:
        """Scores of the grid's cells by name, each `(len(grid),)`, and milliseconds by stage."""
        watch = Stopwatch()
        logarithms = log_maps(self._extractor, self._models, picture, grid, watch, self._pool)
        scores: dict[str, Array] = {}
        for name in self._wanted:
            if name == self._score.name:
                shape = self.input.frame_shape
                cells = scores_of(self._score, logarithms, grid, self._arrays, shape)
            else:
                cells = logarithms[name]
            scores[name] = cells.reshape(-1)
        watch.lap("score")
        return scores, watch.stage_ms

    def score_chosen(
        self, picture: AnyImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Array]:
        """Scores of the chosen patches, see `semedge.inference.frame_tiles.chosen_scores`."""
        return chosen_scores(self.score_image, self.input.patch_px, picture, grid, chosen)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def model_of(feature_map: FeatureMap, arrays: Mapping[str, Array]) -> FeatureModel:
    """The model of a map, from the bundle's arrays."""
    found = {
        name.removeprefix(f"{feature_map.name}_"): array
        for name, array in arrays.items()
        if name.startswith(f"{feature_map.name}_")
    }
    if feature_map.model == "bank":
        return Bank(feature_map.output, found["projection"], found["offset"], found["items"])
    assert feature_map.output is not None
    return Gaussian(feature_map.output, found["mean"], found["whitening"])


def arrays_of(models: Mapping[str, FeatureModel]) -> dict[str, Array]:
    """The arrays of models by the names that `model_of` reads."""
    return {
        f"{name}_{end}": array
        for name, model in models.items()
        for end, array in model.arrays().items()
    }


def log_maps(
    extractor: FeatureExtractor,
    models: Mapping[str, FeatureModel],
    picture: AnyImage,
    grid: PatchGrid,
    watch: Stopwatch,
    pool: Executor,
) -> dict[str, Array]:
    """Logarithm of each model's smoothed distances `(rows, columns)` by cell, by the map's name.

    The models judge each tile in the pool's threads, since NumPy's products let others run.
    """
    prepared = extractor.prepare(picture, pool)
    watch.lap("scale")
    maps = {name: np.empty(prepared.places, np.float32) for name in models}
    for tile in extractor.tiles(prepared):
        watch.lap("network")
        outputs = repeat(tile.outputs)
        found = pool.map(lambda model, of: model.distances(of), models.values(), outputs)
        for name, distances in zip(models, found, strict=True):
            maps[name][tile.target] = distances[tile.inner]
        watch.lap("score")
    cells = pool.map(
        lambda values: log_distances(cells_of(values, grid, extractor.input)), maps.values()
    )
    return dict(zip(maps, cells, strict=True))
