"""Losses of a training over its steps (thesis, figures 43 and 44)."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure

from semedge_trainer.evaluation.report.picture import Picture, chart

SIZE_INCHES = (6.4, 3.6)
DOTS_AN_INCH = 110
NOT_A_LOSS = ("step", "seconds")


def loss_curves(run_folder: Path) -> dict[str, Picture]:
    """A chart of each stage's losses by its name; none where the folder has no logs of a run."""
    pictures = {}
    for path in sorted((run_folder / "logs").glob("*.csv")):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        if rows:
            pictures[path.stem] = _draw(path.stem, rows)
    return pictures


def _draw(stage: str, rows: list[dict[str, str]]) -> Picture:
    figure = Figure(SIZE_INCHES, DOTS_AN_INCH, layout="constrained")
    axes = figure.subplots()
    steps = [int(row["step"]) for row in rows]
    for name in rows[0]:
        if name not in NOT_A_LOSS:
            axes.plot(steps, [float(row[name]) for row in rows], label=name, linewidth=1)
    axes.set(xlabel="step", ylabel="loss", yscale="symlog")
    axes.grid(alpha=0.25)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return chart(f"Losses of the stage {stage} over its steps.", figure)
