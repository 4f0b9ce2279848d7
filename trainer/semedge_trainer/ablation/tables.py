"""The tables of an ablation, as in the thesis: one a detector, a row for each subset."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from semedge_trainer.ablation.effects import Effects, effects
from semedge_trainer.ablation.plan import SUBSETS, TABLES, CellResult, CellSettings

METRICS = ("auroc", "precision", "recall", "f1", "calibrated_f1")
HEADINGS = ("AUROC", "precision", "recall", "F1", "calibrated F1")
THESIS_AUROC = {
    ("bigan", subset): value
    for subset, value in zip(
        SUBSETS,
        (0.39614, 0.59329, 0.54633, 0.63394, 0.53644, 0.54526, 0.57391, 0.36905),
        strict=True,
    )
}
"""The only figures that the thesis has in these tables."""

FLIPPING = {
    "early": "each with probability 0.2, in the first fifth of the training",
    "random": "each with probability 0.2, all through the training",
    "swap": "those of discriminator and generator are swapped for ever, which only renames them",
}
"""What the rows with LF mean."""

Results = Mapping[CellSettings, CellResult]


@dataclass(frozen=True)
class TableRow:
    """One subset of one detector: its cells that are there, one a seed."""

    detector: str
    subset: str
    cells: tuple[CellResult, ...]

    def values(self, metric: str) -> list[float]:
        """The metric of each seed that has it."""
        found = [getattr(cell, metric) for cell in self.cells]
        return [value for value in found if value is not None]

    def shown(self, metric: str) -> str:
        """Mean and standard deviation over seeds, or why there is neither.

        `-` where a cell is missing, or the metric was not asked for.
        """
        values = self.values(metric)
        if values:
            spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
            lost = sum(cell.diverged is not None for cell in self.cells)
            return f"{mean(values):.3f}{spread}" + (f" ({lost} diverged)" if lost else "")
        if not self.cells or self.values("auroc"):
            return "-"
        return "diverged" if all(cell.diverged for cell in self.cells) else "undefined"

    @property
    def interval(self) -> str:
        """Bootstrap interval of the AUROC over frames, where there is a single seed."""
        intervals = [cell.auroc_interval for cell in self.cells if cell.auroc_interval]
        if len(self.cells) != 1 or not intervals:
            return ""
        low, high = intervals[0]
        return f" ({low:.3f}-{high:.3f})"


def table_rows(detector: str, results: Results) -> list[TableRow]:
    """The rows of a detector's table, in the thesis's order."""
    return [
        TableRow(
            detector,
            subset,
            tuple(
                result
                for settings, result in results.items()
                if (settings.detector, settings.subset) == (detector, subset)
            ),
        )
        for subset in SUBSETS
    ]


def caption(detector: str) -> str:
    """The title of a table."""
    number = TABLES.get(detector)
    return f"Ablation of {detector}" + (f" (thesis, table {number})" if number else "")


def notes(results: Results) -> list[str]:
    """What the figures rest on, in sentences."""
    cells = list(results)
    if not cells:
        return ["No cell is finished."]
    some = cells[0]
    schedule = f"schedule {some.schedule}" + (f", {some.steps} steps" if some.steps else "")
    schedule += ", mixed precision" if some.mixed_precision else ""
    lines = [
        f"Trained by {schedule}; measured on patches at stride 16 of {some.test_frames} frames "
        f"with semedge {some.semedge}.",
        f"LF flips labels: {FLIPPING[some.label_flipping]}.",
        "Precision, recall and F1 are at the oracle's threshold, the one of the best F1, which "
        "takes the masks to find; the calibrated F1 is at the threshold that 1 % of the patches "
        "of the training frames lie above.",
    ]
    rows, found = [], []
    for detector in dict.fromkeys(cell.detector for cell in cells):
        of_it = table_rows(detector, results)
        rows += of_it
        lines += _what_was_measured(detector, results)
        each = effects({row.subset: row.values("auroc") for row in of_it})
        if each:
            found.append(each)
            lines.append(f"{detector}: {_said(each)}")
    if any(len(row.cells) > 1 for row in rows):
        lines.append("A row of several seeds has their mean and standard deviation.")
    if any(row.interval for row in rows):
        lines.append(
            "A row of one seed has the 95 % bootstrap interval over frames beside its AUROC."
        )
    if found:
        what = (
            "An effect is the mean AUROC of the four rows with a switch less that of the four "
            "without"
        )
        if any(each.half_width is not None for each in found):
            what += "; after ± half its 95 % confidence interval, by the spread between seeds"
        lines.append(f"{what}.")
    return lines


def _what_was_measured(detector: str, results: Results) -> list[str]:
    """What one detector's table rests on, in a sentence; none where every training diverged."""
    of_it = [(cell, result) for cell, result in results.items() if cell.detector == detector]
    settings = of_it[0][0]
    measured = next((result for _, result in of_it if result.score), None)
    if measured is None:
        return []
    seeds = sorted({cell.seed for cell, _ in of_it})
    what = f"{detector}: {'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}"
    what += f"; score {measured.score} on {measured.patches:,} patches"
    if settings.search_steps is not None:
        what += (
            f", a seeded sample with {measured.anomalous:,} anomalous ones, of which precision and "
            "F1 count the normal ones as often as the frames have them; "
            f"{settings.search_steps} steps of the search for each latent, in TensorFlow"
        )
    else:
        if settings.patches is not None:
            what += ", a seeded sample, as many of each frame"
        exported = settings.quantization
        what += f"; exported in {exported}" if exported else "; by the trained networks"
    return [f"{what}."]


def _said(found: Effects) -> str:
    interval = "" if found.half_width is None else f" ± {found.half_width:.3f}"
    # Adding zero takes the sign from what rounds to -0.
    rounded = {name: round(value, 3) + 0.0 for name, value in found.of_switch.items()}
    parts = [f"{name} {value:+.3f}{interval}" for name, value in rounded.items()]
    text = (
        f"effects {', '.join(parts)}; interactions of the switches {found.interactions_rms:.3f} "
        "(root mean square)"
    )
    if found.between_seeds is not None:
        text += f"; standard deviation between seeds {found.between_seeds:.3f}"
    return f"{text}."


def as_markdown(detectors: Sequence[str], results: Results) -> str:
    """Every table, and the notes below."""
    parts = []
    for detector in detectors:
        thesis = any((detector, subset) in THESIS_AUROC for subset in SUBSETS)
        headings = ["", *HEADINGS, *["AUROC in the thesis"] * thesis]
        lines = [f"### {caption(detector)}", "", _pipe(headings)]
        lines.append(_pipe(["---", *["---:"] * (len(headings) - 1)]))
        for row in table_rows(detector, results):
            lines.append(_pipe([row.subset, *_cells(row), *_thesis(row) * thesis]))
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes(results))]) + "\n"


def as_latex(detectors: Sequence[str], results: Results) -> str:
    """Every table as a `table` environment; the notes are comments."""
    parts = ["\n".join(f"% {note}" for note in notes(results))]
    for detector in detectors:
        lines = [
            r"\begin{table}",
            rf"  \caption{{{_escaped(caption(detector))}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(HEADINGS)}}}",
            "    " + " & ".join(["", *HEADINGS]) + r" \\",
            r"    \hline",
        ]
        for row in table_rows(detector, results):
            cells = [_escaped(cell).replace("±", r"$\pm$") for cell in (row.subset, *_cells(row))]
            lines.append("    " + " & ".join(cells) + r" \\")
        parts.append("\n".join([*lines, r"  \end{tabular}", r"\end{table}"]))
    return "\n\n".join(parts) + "\n"


def as_csv(results: Results) -> str:
    """One line a cell, with every setting and figure."""
    fields = [
        *(name for name in CellSettings.model_fields),
        *(name for name in CellResult.model_fields if name not in ("packages", "auroc_interval")),
    ]
    buffer = io.StringIO()
    writer = csv.DictWriter(
        buffer, [*fields, "auroc_low", "auroc_high"], extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    for settings, result in results.items():
        low, high = result.auroc_interval or (None, None)
        writer.writerow(
            {**settings.model_dump(), **result.model_dump(), "auroc_low": low, "auroc_high": high}
        )
    return buffer.getvalue()


def _cells(row: TableRow) -> list[str]:
    shown = [row.shown(metric) for metric in METRICS]
    return [shown[0] + row.interval, *shown[1:]]


def _thesis(row: TableRow) -> list[str]:
    value = THESIS_AUROC.get((row.detector, row.subset))
    return ["-" if value is None else f"{value:.3f}"]


def _pipe(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return text.replace("&", r"\&").replace("%", r"\%").replace("_", r"\_")
