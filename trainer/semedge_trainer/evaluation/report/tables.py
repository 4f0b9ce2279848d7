"""Every measure of every score, as texts for a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from semedge_trainer.evaluation.bootstrap import Interval
from semedge_trainer.evaluation.evaluate import Row
from semedge_trainer.evaluation.metrics import OperatingPoint
from semedge_trainer.evaluation.results import UNDEFINED, Result, shown, shown_interval

Cell = Callable[[Row], str]

NOT_CALIBRATED = "–"


@dataclass(frozen=True)
class Metric:
    """A metric without a threshold, and its interval."""

    name: str
    value: Callable[[Row], float | None]
    interval: Callable[[Row], Interval | None]


@dataclass(frozen=True)
class Figure:
    """A number for the summary."""

    name: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class ColumnGroup:
    """Columns that belong together: each has a heading and what it shows of a row."""

    heading: str
    columns: tuple[tuple[str, Cell], ...]


def _f1_of(point: OperatingPoint | None) -> float | None:
    return None if point is None else point.f1


ORACLE_F1 = Metric(
    "F1, oracle",
    lambda row: _f1_of(row.items.oracle),
    lambda row: row.items.oracle_f1_interval,
)
CALIBRATED_F1 = Metric("F1, calibrated", lambda row: _f1_of(row.items.calibrated), lambda row: None)


def column_groups(result: Result) -> list[ColumnGroup]:
    """The columns of a result's table, after the score's name."""
    *of_items, of_frames = map(_value_and_interval, _metrics(result))
    groups = [*of_items, _at_oracle()]
    if any(row.items.calibrated for row in result.rows):
        points = _point_columns(lambda row: row.items.calibrated, NOT_CALIBRATED)
        groups.append(ColumnGroup("at the calibrated threshold", points))
    return [*groups, of_frames]


def key_figures(result: Result) -> list[Figure]:
    """What the chosen score comes to."""
    row = result.rows[0]
    *of_items, of_frames = _metrics(result)
    f1 = [ORACLE_F1, CALIBRATED_F1] if row.items.calibrated else [ORACLE_F1]
    named = [(f"{result.item} {metric.name}", metric) for metric in (*of_items, *f1)]
    return [
        Figure(name, shown(metric.value(row)), shown_interval(metric.interval(row), absent=""))
        for name, metric in (*named, (of_frames.name, of_frames))
    ]


def _metrics(result: Result) -> list[Metric]:
    aupro = Metric("AUPRO", lambda row: row.items.aupro, lambda row: row.items.aupro_interval)
    return [
        Metric("AUROC", lambda row: row.items.auroc, lambda row: row.items.auroc_interval),
        Metric(
            "average precision",
            lambda row: row.items.average_precision,
            lambda row: row.items.average_precision_interval,
        ),
        *([aupro] if result.by_pixel else []),
        Metric(
            f"AUROC of {result.part_unit}",
            lambda row: row.frames.auroc,
            lambda row: row.frames.auroc_interval,
        ),
    ]


def _value_and_interval(metric: Metric) -> ColumnGroup:
    return ColumnGroup(
        metric.name,
        (
            ("value", lambda row: shown(metric.value(row))),
            ("95 %", lambda row: shown_interval(metric.interval(row))),
        ),
    )


def _at_oracle() -> ColumnGroup:
    interval: Cell = lambda row: shown_interval(row.items.oracle_f1_interval)  # noqa: E731
    points = _point_columns(lambda row: row.items.oracle, UNDEFINED)
    return ColumnGroup("at the oracle's threshold", (*points, ("95 %", interval)))


def _point_columns(
    point_of: Callable[[Row], OperatingPoint | None], absent: str
) -> tuple[tuple[str, Cell], ...]:
    def column(name: str, show: Callable[[OperatingPoint], str]) -> tuple[str, Cell]:
        def cell(row: Row) -> str:
            point = point_of(row)
            return absent if point is None else show(point)

        return name, cell

    return (
        column("threshold", lambda point: f"{point.threshold:.4g}"),
        column("precision", lambda point: shown(point.precision)),
        column("recall", lambda point: shown(point.recall)),
        column("F1", lambda point: shown(point.f1)),
    )
