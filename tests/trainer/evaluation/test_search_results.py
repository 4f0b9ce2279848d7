"""Results of searches in a run folder: found by all that they depend on, and by nothing less."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from semedge_trainer.evaluation.search_results import SearchResults
from semedge_trainer.training.run import Run

PATCHES = np.random.default_rng(5).uniform(-1, 1, (4, 32, 32, 1)).astype(np.float32)
SCORES = np.array([0.5, -1.25, 3.0, 7.5], np.float32)


@pytest.fixture
def run(anogan_run: Path, tmp_path: Path) -> Run:
    folder = tmp_path / "run"
    shutil.copytree(anogan_run, folder, ignore=shutil.ignore_patterns("searches"))
    return Run.open(folder)


def found(run: Run, *, steps: int = 2, name: str = "inversion", seed: int = 3) -> object:
    return SearchResults(run, steps=steps).find(name, PATCHES, seed)


def test_what_is_kept_is_found(run: Run) -> None:
    assert found(run) is None
    SearchResults(run, steps=2).keep("inversion", PATCHES, 3, SCORES)
    scores = found(run)
    assert isinstance(scores, np.ndarray)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, SCORES)


def test_other_settings_patches_or_weights_find_nothing(run: Run) -> None:
    results = SearchResults(run, steps=2)
    results.keep("inversion", PATCHES, 3, SCORES)
    assert found(run, steps=3) is None
    assert found(run, seed=4) is None
    assert found(run, name="inversion_cross_entropy") is None
    assert results.find("inversion", PATCHES[::-1], 3) is None
    assert results.find("inversion", PATCHES[:3], 3) is None
    assert (
        SearchResults(run, steps=2, policy="mixed_bfloat16").find("inversion", PATCHES, 3) is None
    )
    path = run.folder / "weights" / "generator.npz"
    with np.load(path) as saved:
        changed = {name: saved[name] + 1 for name in saved}
    np.savez(path, allow_pickle=False, **changed)
    assert found(run) is None


@pytest.mark.parametrize("kept", [0, 1, 60, -4])
def test_a_damaged_file_is_searched_again_and_replaced(run: Run, kept: int) -> None:
    results = SearchResults(run, steps=2)
    results.keep("inversion", PATCHES, 3, SCORES)
    (path,) = (run.folder / "searches").iterdir()
    path.write_bytes(path.read_bytes()[:kept])
    assert found(run) is None
    results.keep("inversion", PATCHES, 3, SCORES)
    np.testing.assert_array_equal(found(run), SCORES)


def test_a_file_of_something_else_is_searched_again(run: Run) -> None:
    results = SearchResults(run, steps=2)
    results.keep("inversion", PATCHES, 3, SCORES)
    (path,) = (run.folder / "searches").iterdir()
    for content in (SCORES[:2], np.array(1.0), np.array(["a"] * 4)):
        np.save(path, content)
        assert found(run) is None
    path.unlink()
    path.mkdir()
    assert found(run) is None


def test_where_nothing_can_be_kept_that_is_said_once(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    (run.folder / "searches").write_text("in the way")
    results = SearchResults(run, steps=2)
    for seed in range(3):
        results.keep("inversion", PATCHES, seed, SCORES)
        assert results.find("inversion", PATCHES, seed) is None
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "could not be written" in warning.getMessage()
    assert "will begin anew" in warning.getMessage()
