"""`semedge detectors`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from semedge.core.console import print_json, table_console
from semedge_trainer.commands.detector_names import RECOMMENDATION
from semedge_trainer.extra import need_tensorflow

if TYPE_CHECKING:
    from semedge_trainer.detectors.catalogue import CatalogueEntry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def detectors(as_json: bool) -> None:
    """List the detectors that can be trained.

    Shows the section of the thesis, the scores (the default first), and whether the edge can run
    the detector. A score in brackets needs the option named there.
    """
    need_tensorflow()
    from semedge_trainer.detectors.catalogue import catalogue

    entries = catalogue()
    if as_json:
        print_json([{**asdict(entry), "edge": entry.edge_refusal is None} for entry in entries])
        return
    click.echo(f"{RECOMMENDATION}\n")
    _print_table(entries)


def _print_table(entries: list[CatalogueEntry]) -> None:
    from rich.table import Table

    table = Table(show_lines=True)
    table.add_column("detector", no_wrap=True)
    table.add_column("thesis")
    table.add_column("scores")
    table.add_column("on the edge")
    for entry in entries:
        added = [
            f"{score} ({option})"
            for option, scores in entry.scores_of_options.items()
            for score in scores
        ]
        table.add_row(
            entry.name,
            entry.thesis_section,
            ", ".join([*entry.scores, *added]),
            "yes" if entry.edge_refusal is None else f"no: {entry.edge_refusal}",
        )
    table_console().print(table)
