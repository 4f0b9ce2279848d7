"""What a cell of a searched detector measures, and on how many patches."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ablations import make_frames, planned
from bundles import normal_frames
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge_trainer.ablation.measure import measure_run
from semedge_trainer.evaluation.latent_search import SearchingScorer
from semedge_trainer.evaluation.masks import match_masks
from semedge_trainer.training.run import Run


@pytest.mark.parametrize(("frames", "searched"), [(2, [2, 2]), (3, [1, 1, 1]), (40, [1, 1, 1, 1])])
def test_a_search_takes_a_third_as_many_patches_of_normal_frames(
    anogan_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    frames: int,
    searched: Sequence[int],
) -> None:
    """However many those frames are."""
    sizes: list[list[int]] = []
    score_patches = SearchingScorer.score_patches

    def counted(self: SearchingScorer, parts: Sequence[NDArray]) -> dict[str, NDArray[np.float32]]:
        sizes.append([len(part) for part in parts])
        return score_patches(self, parts)

    monkeypatch.setattr(SearchingScorer, "score_patches", counted)
    folder = tmp_path / "run"
    shutil.copytree(anogan_run, folder, ignore=shutil.ignore_patterns("searches"))
    request = replace(make_frames(tmp_path), anogan_patches=12)
    masked = match_masks(request.test_images, request.masks)
    normal: list[GrayImage] = (normal_frames() * frames)[:frames]
    measured = measure_run(Run.open(folder), planned(request)[0], masked, normal, 1)
    assert measured.score == "inversion"
    assert (measured.metrics.count, measured.metrics.anomalous) == (12, 4)
    assert measured.metrics.calibrated is not None
    of_normal, of_sample = sizes
    assert of_normal == list(searched)
    assert sum(of_sample) == 12
