"""Statistics of normal patches: what the scores hold a patch against."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from semedge.cameras.simulation import SimulatedLine
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge.inference.scores.statistics import (
    embedding_gaussian,
    patch_statistics,
    residual_surprise,
    statistics_surprise,
)
from semedge_trainer.components.density import COMPONENTS, SMALLEST_VARIANCE, normal_statistics

Array = NDArray[np.float32]

SHAPE = (256, 320)


def patches_of(line: SimulatedLine, count: int) -> Array:
    grid = PatchGrid(SHAPE, 32, 32)
    cut = [grid.cut(line.frame(number).image) for number in range(count)]
    return scale_patches(np.concatenate(cut), "range")


@pytest.fixture(scope="module")
def normal() -> Array:
    return patches_of(SimulatedLine(1, shape=SHAPE), 30)


def test_the_mixture_gives_the_density_that_scikit_learn_gives(normal: Array) -> None:
    arrays = normal_statistics({"x": normal}, {"s_means", "s_factors", "s_weights"})
    assert {name: array.shape for name, array in arrays.items()} == {
        "s_means": (COMPONENTS, 5),
        "s_factors": (COMPONENTS, 5, 5),
        "s_weights": (COMPONENTS,),
    }
    statistics = patch_statistics(normal)
    mixture = GaussianMixture(COMPONENTS, reg_covar=SMALLEST_VARIANCE, random_state=0)
    mixture.fit(statistics.astype(np.float64))
    constant = statistics.shape[1] / 2 * np.log(2 * np.pi)
    expected = -mixture.score_samples(statistics) - constant
    np.testing.assert_allclose(statistics_surprise(normal, **arrays), expected, atol=0.02)


def test_embeddings_are_whitened() -> None:
    random = np.random.default_rng(3)
    stretch = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    embedded = (random.normal(size=(5000, 3)) @ stretch + [4, -2, 1]).astype(np.float32)
    arrays = normal_statistics({"h_x": embedded}, {"h_mean", "h_whitening"})
    distances = embedding_gaussian(embedded, **arrays)
    assert np.square(distances).mean() == pytest.approx(3, rel=0.05)


def test_only_what_is_needed_is_fitted(normal: Array) -> None:
    assert normal_statistics({"x": normal}, {"x", "y", "z"}) == {}


def test_a_residual_too_small_is_as_rare_as_one_too_large(normal: Array) -> None:
    random = np.random.default_rng(4)
    noise = random.normal(size=normal.shape).astype(np.float32)
    arrays = normal_statistics({"x": normal, "y": normal + 0.1 * noise}, {"r_means"})
    usual, small, large = (
        residual_surprise(normal, normal + share * noise, **arrays) for share in (0.1, 0.05, 0.2)
    )
    assert small.mean() > usual.mean() + 10
    assert large.mean() > usual.mean() + 10


def test_defects_surprise_more_than_normal_frames(normal: Array) -> None:
    arrays = normal_statistics({"x": normal}, {"s_means"})
    line = SimulatedLine(2, shape=SHAPE)
    defective = SimulatedLine(2, shape=SHAPE, defect_rate=1.0, kinds=("bead",))
    highest = [
        [
            statistics_surprise(patches_of_frame(each, number), **arrays).max()
            for number in range(20)
        ]
        for each in (line, defective)
    ]
    assert np.mean(np.array(highest[1]) > max(highest[0])) > 0.5


def patches_of_frame(line: SimulatedLine, number: int) -> Array:
    return scale_patches(PatchGrid(SHAPE, 32, 16).cut(line.frame(number).image), "range")
