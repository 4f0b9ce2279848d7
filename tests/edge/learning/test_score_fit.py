"""How maps become a score, fitted to maps of normal frames."""

from __future__ import annotations

import numpy as np
import pytest

from semedge.inference.grid import PatchGrid
from semedge.learning.plan import Parts
from semedge.learning.score_fit import NormalMaps, fit_score

GRID = PatchGrid((320, 400), 8, 8)
GAUSSIANS = Parts(bank=False, fine=False, gray=False, colour=False)


def normal_maps(count: int) -> list[NormalMaps]:
    """Maps of normal frames, all unlike each other."""
    random = np.random.default_rng(5)
    names = [each.name for each in GAUSSIANS.plan(position=False).maps]
    return [
        NormalMaps(
            GRID, {name: random.normal(size=GRID.shape).astype(np.float32) for name in names}
        )
        for _ in range(count)
    ]


def with_defect(maps: NormalMaps) -> NormalMaps:
    """The maps with a place of 12x12 cells that stands out."""
    changed = {name: values.copy() for name, values in maps.logarithms.items()}
    for values in changed.values():
        values[10:22, 10:22] += 6
    return NormalMaps(maps.grid, changed)


@pytest.mark.parametrize("position", [False, True])
def test_a_bad_frame_among_sixty_changes_no_score_by_more_than_a_twentieth(position: bool) -> None:
    plan = GAUSSIANS.plan(position=position)
    clean = normal_maps(60)
    spoilt = [*clean[:20], with_defect(clean[20]), *clean[21:]]
    tested = [*clean[:5], *(with_defect(maps) for maps in clean[5:10])]
    before, after = fit_score(clean, plan), fit_score(spoilt, plan)
    for maps in tested:
        assert after.frame_score(maps) == pytest.approx(before.frame_score(maps), rel=0.05)


def test_few_frames_are_all_fitted_to_and_a_typical_one_sets_the_unit() -> None:
    plan = GAUSSIANS.plan(position=False)
    maps = normal_maps(9)
    clean, spoilt = fit_score(maps, plan), fit_score([*maps[:8], with_defect(maps[8])], plan)
    assert spoilt.score.groups[0].scale.unit > 1.2 * clean.score.groups[0].scale.unit
    assert spoilt.frame_score(maps[0]) == pytest.approx(clean.frame_score(maps[0]), rel=0.1)
