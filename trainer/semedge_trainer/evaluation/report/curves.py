"""ROC, precision over recall, and histogram of scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semedge_trainer.evaluation.report.picture import Picture, chart
from semedge_trainer.evaluation.results import Result, shown
from semedge_trainer.evaluation.scored_frames import ScoreMetrics

SIZE_INCHES = (4.6, 4.4)
DOTS_AN_INCH = 160
MOST_CURVES = 8

COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#56b4e9", "#8c6d00", "#7a5195", "#555555"),
)
"""Distinct for colour-blind readers too (after Okabe and Ito)."""
NORMAL_COLOUR, ANOMALOUS_COLOUR = "#56b4e9", "#d55e00"


def roc(result: Result) -> Picture | None:
    """Share of anomalous samples flagged over that of normal ones; None where it is undefined."""

    def draw(axes: Axes, row: ScoreMetrics, **style: Any) -> None:
        hits, alarms = row.distribution.hits, row.distribution.alarms
        axes.plot(
            np.append(alarms, 0) / alarms[0],
            np.append(hits, 0) / hits[0],
            label=f"{row.score}  {shown(row.samples.auroc)}",
            **style,
        )

    if result.rows[0].samples.auroc is None:
        return None
    figure, axes = _axes("normal flagged", "anomalous flagged")
    axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    _draw_scores(axes, curves_shown(result, lambda row: row.samples.auroc), draw, "score, AUROC")
    return chart(f"ROC curves over {result.unit}, {_named(result)}.", figure)


def precision_recall(result: Result) -> Picture | None:
    """Precision over recall; None where it is undefined."""

    def draw(axes: Axes, row: ScoreMetrics, **style: Any) -> None:
        hits, alarms = row.distribution.hits, row.distribution.alarms
        found = hits > 0
        axes.plot(
            hits[found] / hits[0],
            (hits / np.maximum(hits + alarms, 1))[found],
            label=f"{row.score}  {shown(row.samples.average_precision)}",
            **style,
        )

    first = result.rows[0].samples
    if first.average_precision is None:
        return None
    figure, axes = _axes("recall", "precision")
    axes.axhline(first.anomalous / first.count, color="#999999", linestyle=":", linewidth=1)
    rows = curves_shown(result, lambda row: row.samples.average_precision)
    _draw_scores(axes, rows, draw, "score, AP")
    return chart(f"Precision over recall, {result.unit}, {_named(result)}.", figure)


def histogram(result: Result) -> Picture:
    """Scores of normal and of anomalous samples under the chosen score, and the thresholds."""
    row = result.rows[0]
    found = row.distribution
    figure, axes = _axes(row.score, f"share of the {result.unit}")
    kinds = (
        (found.normal, "normal", NORMAL_COLOUR),
        (found.anomalous, "anomalous", ANOMALOUS_COLOUR),
    )
    for counts, name, colour in kinds:
        if counts.any():
            axes.stairs(
                counts / counts.sum(), found.edges, color=colour, fill=True, alpha=0.45, label=name
            )
            axes.stairs(counts / counts.sum(), found.edges, color=colour, linewidth=1.2)
    points = ((row.samples.oracle, "oracle", "--"), (row.samples.calibrated, "calibrated", "-"))
    for point, name, line in points:
        if point is not None:
            label = f"{name} threshold, {point.threshold:.4g}"
            axes.axvline(point.threshold, color="#222222", linestyle=line, label=label)
    axes.set_yscale("log")
    _legend(axes, "")
    return chart(f"Histogram of {row.score} over {result.unit}.", figure)


def curves_shown(
    result: Result, merit: Callable[[ScoreMetrics], float | None]
) -> list[ScoreMetrics]:
    """The chosen score, then the best of the others, as many as a reader can distinguish."""
    chosen, *others = result.rows
    return [chosen, *sorted(others, key=lambda row: -(merit(row) or 0.0))[: MOST_CURVES - 1]]


def _draw_scores(
    axes: Axes, rows: list[ScoreMetrics], draw: Callable[..., None], legend_title: str
) -> None:
    for place, (row, colour) in enumerate(zip(rows, COLOURS, strict=False)):
        draw(axes, row, color=colour, linewidth=1.2 if place else 2.6, zorder=3 - (place > 0))
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    _legend(axes, legend_title)


def _legend(axes: Axes, title: str) -> None:
    axes.figure.legend(
        loc="outside lower center", ncols=2, fontsize="small", title=title, title_fontsize="small"
    )


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(SIZE_INCHES, DOTS_AN_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _named(result: Result) -> str:
    return f"{result.rows[0].score} and others" if len(result.rows) > 1 else result.rows[0].score
