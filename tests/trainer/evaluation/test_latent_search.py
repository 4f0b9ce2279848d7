"""AnoGAN's search for latents: seeded, batched, and taken up where it was interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from bundles import FRAME_SHAPE, normal_frames
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.grid import PatchGrid
from semedge_trainer.detectors.anogan import Inversion
from semedge_trainer.evaluation import latent_search as searching
from semedge_trainer.training.run import Run


@pytest.fixture
def searchable(anogan_run: Path, tmp_path: Path) -> Run:
    """A run whose searches no other test has made."""
    folder = tmp_path / "searched"
    shutil.copytree(anogan_run, folder, ignore=shutil.ignore_patterns("searches"))
    return Run.open(folder)


def searched(scorer: searching.SearchingScorer, count: int) -> NDArray[np.float32]:
    """Scores of the first patches of a frame."""
    grid = PatchGrid(FRAME_SHAPE, 32, 32)
    return scorer.score_chosen(normal_frames()[0], grid, np.arange(count))["inversion"]


def test_a_search_gives_its_default_score_and_knows_no_other_detectors(anogan_run: Path) -> None:
    anogan = Run.open(anogan_run)
    assert searching.SearchingScorer(anogan, steps=0, seed=0).score_names == ("inversion",)
    with pytest.raises(SemedgeError, match=r"anogan.*'inverson'.*inversion, "):
        searching.SearchingScorer(anogan, steps=0, seed=0, score_names=("inverson",))


def test_a_search_is_seeded_and_batched(searchable: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BATCH", 4)
    scorer = searching.SearchingScorer(searchable, steps=2, seed=3)
    first = searched(scorer, 6)
    assert first.shape == (6,)
    for count in (6, 4):
        shutil.rmtree(searchable.folder / "searches")
        np.testing.assert_array_equal(first[:count], searched(scorer, count))


def test_patches_of_several_frames_are_searched_in_full_batches(
    searchable: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "BATCH", 4)
    scorer = searching.SearchingScorer(searchable, steps=2, seed=3)
    grid = PatchGrid(FRAME_SHAPE, 32, 32)
    patches = grid.cut(normal_frames()[0])[:6]
    found = scorer.score_patches([patches[:1], patches[1:3], patches[3:]])["inversion"]
    np.testing.assert_array_equal(found, searched(scorer, 6))
    assert len(list((searchable.folder / "searches").iterdir())) == 2


def test_an_interrupted_search_goes_on(searchable: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    score = Inversion.score

    def interrupted(self: Inversion, x: tf.Tensor, steps: int, seed: int) -> tf.Tensor:
        seeds.append(seed)
        if len(seeds) == 6:
            raise KeyboardInterrupt
        return score(self, x, steps, seed)

    monkeypatch.setattr(searching, "BATCH", 4)
    monkeypatch.setattr(Inversion, "score", interrupted)
    scorer = searching.SearchingScorer(searchable, steps=2, seed=3)
    whole = searched(scorer, 12)
    shutil.rmtree(searchable.folder / "searches")
    with pytest.raises(KeyboardInterrupt):
        searched(scorer, 12)
    again = searching.SearchingScorer(searchable, steps=2, seed=3)
    np.testing.assert_array_equal(searched(again, 12), whole)
    assert seeds == [3, 7, 11, 3, 7, 11, 11], "what was searched before the interruption was there"


def test_a_search_in_mixed_precision_finds_nearly_the_same(anogan_run: Path) -> None:
    run = Run.open(anogan_run)
    exact, mixed = (
        searching.SearchingScorer(
            run, 2, 3, ("inversion", "inversion_cross_entropy"), mixed_precision=mixed_precision
        ).score_chosen(normal_frames()[0], PatchGrid(FRAME_SHAPE, 32, 32), np.arange(6))
        for mixed_precision in (False, True)
    )
    for name, scores in exact.items():
        assert mixed[name].dtype == np.float32
        assert np.any(mixed[name] != scores)
        np.testing.assert_allclose(mixed[name], scores, rtol=0.02)
    assert keras.mixed_precision.global_policy().name == "float32"
