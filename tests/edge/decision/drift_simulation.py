"""Healthy stations for a month, and how often they report drift.

`drift_simulation.py` prints the table of docs/explanation/guarantee.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from semedge.decision.drift import CUTS, SPENT, YEAR_S, DriftSettings
from semedge.decision.drift_statistics import count_tail
from semedge_calibration.order_statistics import Method, threshold_rank

WINDOW = 1000
DAYS = 30
FIELDS = 4
GROUP_FRAMES, IN_GROUP = 5, 0.8
FRESH_SEED = 20_261_128
"""Seed of draws on which nothing of the tests was chosen."""
SHARES = np.array([float(name) for name in CUTS])


@dataclass(frozen=True)
class Case:
    """Stations that were calibrated the same way."""

    n: int
    method: Method
    frame_rate_hz: float
    unit: str

    @property
    def rank(self) -> int:
        """Rank of the threshold for 1 % of false alarms, or the best where n is too small."""
        return max(1, threshold_rank(self.n, 0.01, 0.95, self.method))


def cases() -> Iterator[Case]:
    for n in (99, 299, 1000, 3000):
        for method in ("tolerance", "conformal"):
            for rate in (1.0, 30.0):
                for unit in ("frames", "fields", "groups"):
                    yield Case(n, method, rate, unit)  # type: ignore[arg-type]


def false_events(case: Case, stations: int, seed: int = 0) -> tuple[float, float]:
    """Drift events a year, and the share of stations with one within the month."""
    rng = np.random.default_rng(seed)
    windows = round(DAYS * 86_400 * case.frame_rate_hz / WINDOW)
    limit = DriftSettings().significance_of(WINDOW / case.frame_rate_hz)
    tables = _p_values(case)
    events = np.array([_station(case, rng, windows, limit, tables) for _ in range(stations)])
    return float(events.mean() * YEAR_S / (DAYS * 86_400)), float(np.mean(events > 0))


def _station(
    case: Case,
    rng: np.random.Generator,
    windows: int,
    limit: float,
    tables: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> int:
    below, threshold_below = _calibrate(case, rng)
    if case.unit == "fields":
        below, threshold_below = below**FIELDS, threshold_below**FIELDS
    edges = np.sort(np.append(below, threshold_below))
    cells = np.diff(np.concatenate([[0.0], edges, [1.0]]))
    counts = rng.multinomial(WINDOW, np.maximum(cells, 0.0), size=windows)
    upto = np.cumsum(counts, axis=1)
    low = np.stack([upto[:, np.searchsorted(edges, edge)] for edge in below])
    alarms = WINDOW - upto[:, np.searchsorted(edges, threshold_below)]
    of_alarms, of_low, of_high = tables
    rate = of_alarms[alarms]
    spread = np.full(windows, 1.0)
    for at in range(len(SHARES)):
        spread = np.minimum(spread, of_low[at][low[at]])
        spread = np.minimum(spread, of_high[at][WINDOW - low[at]])
    spread = np.minimum(1.0, 2 * len(SHARES) * spread)
    return _starts(rate, limit) + _starts(spread, limit)


def _calibrate(case: Case, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """Share of new frames below each cut, and below the threshold, for a drawn calibration."""
    if case.unit == "groups":
        common = rng.normal(size=(case.n, 1)) * math.sqrt(IN_GROUP)
        own = rng.normal(size=(case.n, GROUP_FRAMES)) * math.sqrt(1 - IN_GROUP)
        scores, highest = (common + own).ravel(), (common + own).max(axis=1)
    else:
        scores = highest = rng.normal(size=case.n)
    cuts = np.array([np.quantile(scores, share, method="lower") for share in SHARES])
    threshold = np.sort(highest)[-case.rank]
    return stats.norm.cdf(cuts), float(stats.norm.cdf(threshold))


def _p_values(
    case: Case,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The p-value of every count, as the monitor computes it."""
    fields = FIELDS if case.unit == "fields" else 1.0

    def of_all(first: float, second: float, exponent: float) -> NDArray[np.float64]:
        return np.array(
            [count_tail(count, WINDOW, first, second, exponent) for count in range(WINDOW + 1)]
        )

    orders = [math.floor((case.n - 1) * share) + 1 for share in SHARES]
    return (
        of_all(case.rank, case.n + 1 - case.rank, fields),
        np.stack([of_all(order, case.n + 1 - order, 1.0) for order in orders]),
        np.stack([of_all(case.n + 1 - order, order, fields) for order in orders]),
    )


def _starts(p_values: NDArray[np.float64], limit: float) -> int:
    """How often drift starts, and with it an event, which lowers the limit of the next one."""
    end_above = DriftSettings().end_above
    starts = 0
    ongoing = False
    for p_value in p_values[(p_values < limit) | (p_values > end_above)]:
        if p_value > end_above:
            ongoing = False
        elif not ongoing and p_value < limit / SPENT**starts:
            ongoing = True
            starts += 1
    return starts


def table(stations: int) -> str:
    """The table of docs/explanation/guarantee.md."""
    lines = [
        "| n | method | unit | events a year, 1 frame/s | 30 frames/s |",
        "| --- | --- | --- | --- | --- |",
    ]
    found = {case: false_events(case, stations, FRESH_SEED)[0] for case in cases()}
    for case, rate in found.items():
        if case.frame_rate_hz == 1.0:
            faster = found[Case(case.n, case.method, 30.0, case.unit)]
            lines.append(
                f"| {case.n:,} | {case.method} | {case.unit} | {rate:.2f} | {faster:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(100))
