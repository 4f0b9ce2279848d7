"""Effects of the switches against an analysis of variance, and what chance makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from semedge_trainer.ablation.effects import SHORT_NAMES, effects
from semedge_trainer.ablation.plan import SUBSETS, SWITCHES


def design() -> np.ndarray:
    """A column of 1, one of -1 and 1 for each switch, and their products; a row a subset."""
    signs = np.array(
        [[1 if switch in chosen else -1 for switch in SWITCHES] for chosen in SUBSETS.values()]
    )
    first, second, third = signs.T
    products = (first * second, first * third, second * third, first * second * third)
    return np.stack([np.ones(8), *signs.T, *products], axis=1)


@pytest.mark.parametrize("seeds", [1, 3])
def test_effects_are_those_of_a_least_squares_fit(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(0.5, 0.1, (8, seeds))
    coefficients = np.linalg.lstsq(np.repeat(design(), seeds, axis=0), values.ravel())[0]
    found = effects(dict(zip(SUBSETS, values.tolist(), strict=True)))
    assert found is not None
    # From -1 to 1 is twice a coefficient.
    assert list(found.of_switch.values()) == pytest.approx(list(2 * coefficients[1:4]))
    assert list(found.of_switch) == list(SHORT_NAMES.values()) == ["IN", "SL", "LF"]
    assert found.interactions_rms == pytest.approx(2 * np.sqrt(np.mean(coefficients[4:] ** 2)))
    if seeds == 1:
        assert found.between_seeds is None
        assert found.half_width is None
    else:
        assert found.between_seeds == pytest.approx(np.sqrt(values.var(axis=1, ddof=1).mean()))


@pytest.mark.parametrize("counts", [(3,) * 8, (2, 3, 4, 5, 2, 3, 4, 5)])
def test_the_interval_of_an_effect_holds_it_as_often_as_it_says(counts: tuple[int, ...]) -> None:
    random = np.random.default_rng(11)
    held = []
    for _ in range(1500):
        rows = [random.normal(0.5, 0.06, count).tolist() for count in counts]
        found = effects(dict(zip(SUBSETS, rows, strict=True)))
        assert found is not None
        assert found.half_width is not None
        held += [abs(value) <= found.half_width for value in found.of_switch.values()]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)


def test_a_row_of_one_seed_leaves_no_interval_and_a_missing_row_no_effects() -> None:
    values = {subset: [0.5, 0.6] for subset in SUBSETS}
    some = effects({**values, "IN + LF": [0.5]})
    assert some is not None
    assert some.between_seeds == pytest.approx(0.1 / np.sqrt(2))
    assert some.half_width is None
    assert effects({**values, "SL": []}) is None
    assert effects({subset: [0.5] for subset in list(SUBSETS)[:7]}) is None
