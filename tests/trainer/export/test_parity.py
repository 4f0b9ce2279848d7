"""How exported scores are compared with those of the trained networks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from trained import Trained

from semedge.core.errors import SemedgeError
from semedge_trainer.export.parity import compare, keras_tensors, parity_of_scores, parity_patches
from semedge_trainer.quantization.convert import convert
from semedge_trainer.quantization.deploy_model import BATCH
from semedge_trainer.quantization.tensors import exported_tensors


def test_half_of_the_parity_patches_are_blurred_flat(trained: Trained) -> None:
    before = trained.patches.copy()
    compared, blurred = parity_patches(trained.patches)
    assert (trained.patches == before).all()
    assert blurred.sum() == len(compared) // 2
    assert (compared[~blurred] == before[: len(compared)][~blurred]).all()
    deviation = compared.std(axis=(1, 2, 3)) / before[: len(compared)].std(axis=(1, 2, 3))
    assert deviation[blurred].max() < 0.8


def test_exported_float32_graphs_rank_patches_as_keras_does(trained: Trained) -> None:
    plan = trained.plan.chosen("comb_z", only=True)
    compared, blurred = parity_patches(trained.patches[: 3 * BATCH + 5])
    graphs = {
        name: convert(trained.plain[name], "float32", trained.inputs(name)) for name in plan.graphs
    }
    exported = exported_tensors(plan.nodes, graphs, {}, compared)
    expected = keras_tensors(plan, trained.networks, compared)
    assert exported.keys() == expected.keys()
    for name, values in exported.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-4, err_msg=name)
    (parity,) = compare(plan, expected, exported, {}, blurred).values()
    assert parity.patches == 3 * BATCH + 5
    assert parity.rank_correlation > 0.9999


def test_parity_of_equal_and_of_shuffled_scores(trained: Trained) -> None:
    plan = trained.plan.chosen("im1", only=True)
    compared, blurred = parity_patches(trained.patches)
    tensors = keras_tensors(plan, trained.networks, compared)
    same = compare(plan, tensors, tensors, {}, blurred)["im1"]
    assert same.rank_correlation == 1
    assert same.auroc_exported == same.auroc_keras
    order = np.random.default_rng(1).permutation(len(compared))
    shuffled = {name: values[order] for name, values in tensors.items()}
    other = compare(plan, tensors, shuffled, {}, blurred)["im1"]
    scores = np.linalg.norm((compared - tensors["y"]).reshape(len(compared), -1), axis=1)
    assert other.rank_correlation == pytest.approx(spearmanr(scores, scores[order])[0], abs=1e-4)
    assert abs(other.rank_correlation) < 0.2
    assert other.auroc_exported == pytest.approx(0.5, abs=0.1)
    assert other.auroc_keras == same.auroc_keras


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_finite_numbers_are_refused(value: float) -> None:
    scores = np.linspace(0, 1, 10, dtype=np.float32)
    exported = np.append(scores[:-1], np.float32(value))
    with pytest.raises(SemedgeError, match="im1"):
        parity_of_scores({"im1": scores}, {"im1": exported}, np.arange(10) % 2 == 1)
