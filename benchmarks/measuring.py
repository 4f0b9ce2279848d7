"""Functions timed in turn, A B C A B C, so that noise on the machine hits them all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

SHORT = os.environ.get("SEMEDGE_BENCH_SHORT") == "1"


@dataclass(frozen=True)
class Row:
    """One line of the printed table.

    Attributes
    ----------
    label
        What was timed.
    median_s
        Median over the rounds.
    ratio
        `median_s` divided by the reference's; None on the reference itself.
    """

    label: str
    median_s: float
    ratio: float | None = None


def rounds(full: int, short: int = 3) -> int:
    """Rounds of a full run, or of a short one where `SEMEDGE_BENCH_SHORT` is 1."""
    return short if SHORT else full


def times_in_turn(
    benchmark: BenchmarkFixture,
    cases: Mapping[str, Callable[[], Any]],
    *,
    reference: str,
    count: int,
) -> dict[str, list[float]]:
    """Seconds of each case in each of `count` rounds; each round times every case once.

    pytest-benchmark times the reference, and the others run in its set-up, between two rounds.
    """
    others = {label: function for label, function in cases.items() if label != reference}
    spent_s: dict[str, list[float]] = {label: [] for label in others}
    for function in cases.values():
        function()

    def time_others() -> None:
        for label, function in others.items():
            started = time.perf_counter()
            function()
            spent_s[label].append(time.perf_counter() - started)

    benchmark.pedantic(cases[reference], setup=time_others, rounds=count, iterations=1)
    measured = benchmark.stats is not None
    spent_s[reference] = benchmark.stats.stats.data if measured else [float("nan")]
    return {label: spent_s[label] for label in cases}


def time_in_turn(
    benchmark: BenchmarkFixture,
    cases: Mapping[str, Callable[[], Any]],
    *,
    reference: str,
    count: int,
) -> dict[str, float]:
    """Median seconds of each case; see `times_in_turn`."""
    return medians_of(times_in_turn(benchmark, cases, reference=reference, count=count))


def medians_of(times_s: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Median of each case's times."""
    return {label: median(each) for label, each in times_s.items()}


def paces(times_s: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Frames a second of each case by its median, and its 99th percentile, as figures."""
    figures = {}
    for label, each in times_s.items():
        middle_s, late_s = np.percentile(each, (50, 99))
        figures[f"frames/s, {label}"] = f"{1 / middle_s:.1f}"
        figures[f"99th percentile / median, {label}"] = f"{late_s / middle_s:.2f}"
    return figures


def store(
    benchmark: BenchmarkFixture,
    title: str,
    medians_s: Mapping[str, float],
    *,
    reference: str,
    notes: tuple[str, ...] = (),
    figures: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Keep a table in the JSON beside pytest-benchmark's own figures; gives the ratios.

    A ratio is a median divided by the reference's: above 1 is slower than the reference.
    """
    base_s = medians_s[reference]
    ratios = {label: value / base_s for label, value in medians_s.items()}
    table = [
        Row(label, value, None if label == reference else ratios[label])
        for label, value in medians_s.items()
    ]
    benchmark.group = title
    benchmark.extra_info.update(
        title=title,
        rows=[asdict(row) for row in table],
        notes=list(notes),
        figures=dict(figures or {}),
    )
    return ratios


def compare(
    benchmark: BenchmarkFixture,
    title: str,
    cases: Mapping[str, Callable[[], Any]],
    *,
    reference: str,
    count: int,
    notes: tuple[str, ...] = (),
) -> dict[str, float]:
    """Time the cases in turn and store the table; gives the ratios to the reference."""
    medians_s = time_in_turn(benchmark, cases, reference=reference, count=count)
    return store(benchmark, title, medians_s, reference=reference, notes=notes)
