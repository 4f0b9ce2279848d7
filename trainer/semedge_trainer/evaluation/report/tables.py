"""Every metric of every score, as texts for a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from semedge_trainer.evaluation.bootstrap import Interval
from semedge_trainer.evaluation.metrics import OperatingPoint
from semedge_trainer.evaluation.results import UNDEFINED, Result, shown, shown_interval
from semedge_trainer.evaluation.scored_frames import ScoreMetrics

Cell = Callable[[ScoreMetrics], str]

NOT_CALIBRATED = "–"


@dataclass(frozen=True)
class MetricColumns:
    """The value of a metric, and its interval."""

    name: str
    value: Callable[[ScoreMetrics], float | None]
    interval: Callable[[ScoreMetrics], Interval | None]


@dataclass(frozen=True)
class KeyNumber:
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


ORACLE_F1 = MetricColumns(
    "F1, oracle",
    lambda row: _f1_of(row.samples.oracle),
    lambda row: row.samples.oracle_f1_interval,
)
CALIBRATED_F1 = MetricColumns(
    "F1, calibrated", lambda row: _f1_of(row.samples.calibrated), lambda row: None
)


def column_groups(result: Result) -> list[ColumnGroup]:
    """The columns of a result's table, after the score's name."""
    *of_items, of_frames = map(_value_and_interval, _metrics(result))
    groups = [*of_items, _at_oracle()]
    if any(row.samples.calibrated for row in result.rows):
        points = _point_columns(lambda row: row.samples.calibrated, NOT_CALIBRATED)
        groups.append(ColumnGroup("at the calibrated threshold", points))
    return [*groups, of_frames]


def key_numbers(result: Result) -> list[KeyNumber]:
    """The key figures of the chosen score."""
    row = result.rows[0]
    *of_items, of_frames = _metrics(result)
    f1 = [ORACLE_F1, CALIBRATED_F1] if row.samples.calibrated else [ORACLE_F1]
    named = [(f"{result.sample} {metric.name}", metric) for metric in (*of_items, *f1)]
    return [
        KeyNumber(name, shown(metric.value(row)), shown_interval(metric.interval(row), absent=""))
        for name, metric in (*named, (of_frames.name, of_frames))
    ]


def _metrics(result: Result) -> list[MetricColumns]:
    aupro = MetricColumns(
        "AUPRO", lambda row: row.samples.aupro, lambda row: row.samples.aupro_interval
    )
    return [
        MetricColumns(
            "AUROC", lambda row: row.samples.auroc, lambda row: row.samples.auroc_interval
        ),
        MetricColumns(
            "average precision",
            lambda row: row.samples.average_precision,
            lambda row: row.samples.average_precision_interval,
        ),
        *([aupro] if result.by_pixel else []),
        MetricColumns(
            f"AUROC of {result.part_unit}",
            lambda row: row.frames.auroc,
            lambda row: row.frames.auroc_interval,
        ),
    ]


def _value_and_interval(metric: MetricColumns) -> ColumnGroup:
    return ColumnGroup(
        metric.name,
        (
            ("value", lambda row: shown(metric.value(row))),
            ("95 %", lambda row: shown_interval(metric.interval(row))),
        ),
    )


def _at_oracle() -> ColumnGroup:
    interval: Cell = lambda row: shown_interval(row.samples.oracle_f1_interval)  # noqa: E731
    points = _point_columns(lambda row: row.samples.oracle, UNDEFINED)
    return ColumnGroup("at the oracle's threshold", (*points, ("95 %", interval)))


def _point_columns(
    point_of: Callable[[ScoreMetrics], OperatingPoint | None], absent: str
) -> tuple[tuple[str, Cell], ...]:
    def column(name: str, show: Callable[[OperatingPoint], str]) -> tuple[str, Cell]:
        def cell(row: ScoreMetrics) -> str:
            point = point_of(row)
            return absent if point is None else show(point)

        return name, cell

    return (
        column("threshold", lambda point: f"{point.threshold:.4g}"),
        column("precision", lambda point: shown(point.precision)),
        column("recall", lambda point: shown(point.recall)),
        column("F1", lambda point: shown(point.f1)),
    )
