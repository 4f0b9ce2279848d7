"""What each switch of an ablation does, and what chance does, by the eight rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import mean, variance

from scipy.stats import t as student

from semedge_trainer.ablation.plan import SUBSETS, SWITCHES

SHORT_NAMES = {
    switch: next(row for row in SUBSETS if SUBSETS[row] == {switch}) for switch in SWITCHES
}
"""The switches as the rows name them."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Effects:
    """How a figure, here the AUROC, depends on the switches.

    Attributes
    ----------
    of_switch
        By the switch's short name: mean of the four rows with it less that of the four without.
    interactions_rms
        Root mean square of the four contrasts that are zero where each switch only adds its own
        (products of two or three signs), on the scale of `of_switch`: the yardstick of chance
        where each row is one training.
    between_seeds
        Standard deviation between seeds, pooled over the rows; None where no row has two.
    half_width
        Half the width of the 95 % confidence interval of an effect, by Student's distribution
        with as many degrees of freedom as seeds beyond the first of each row; None where a row
        has fewer than two.
    """

    of_switch: dict[str, float]
    interactions_rms: float
    between_seeds: float | None
    half_width: float | None


def effects(values: Mapping[str, Sequence[float]]) -> Effects | None:
    """The effects by the values of each subset, one a seed; None where a subset has none."""
    rows = {subset: values[subset] for subset in SUBSETS if values.get(subset)}
    if len(rows) < len(SUBSETS):
        return None

    def contrast(switches: Sequence[str]) -> float:
        signs = {
            subset: -1 if len(chosen.intersection(switches)) % 2 == 0 else 1
            for subset, chosen in SUBSETS.items()
        }
        return sum(signs[subset] * mean(row) for subset, row in rows.items()) / (len(SUBSETS) / 2)

    interactions = [
        contrast(switches) for count in (2, 3) for switches in combinations(SWITCHES, count)
    ]
    return Effects(
        {SHORT_NAMES[switch]: contrast([switch]) for switch in SWITCHES},
        sqrt(mean(value**2 for value in interactions)),
        *_spread(list(rows.values())),
    )


def _spread(rows: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Pooled standard deviation within rows, and the half width that it gives an effect."""
    repeated = [row for row in rows if len(row) > 1]
    if not repeated:
        return None, None
    freedom = sum(len(row) - 1 for row in repeated)
    pooled = sqrt(sum((len(row) - 1) * variance(row) for row in repeated) / freedom)
    if len(repeated) < len(rows):
        return pooled, None
    standard_error = pooled * sqrt(sum(1 / len(row) for row in rows)) / (len(rows) / 2)
    return pooled, float(student.ppf((1 + CONFIDENCE) / 2, freedom)) * standard_error
