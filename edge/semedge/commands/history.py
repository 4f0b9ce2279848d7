"""`semedge history`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import click

from semedge.commands.journal_options import check_journal, journal_options
from semedge.core.console import print_json
from semedge.core.event import KINDS, Level, Phase
from semedge.core.logs import printable
from semedge.core.tables import write_table
from semedge.journal.query import COLUMNS, SUBJECTS, Query, Subject, parse_time
from semedge.journal.reader import JournalReader
from semedge.journal.records import DEFAULT_JOURNAL
from semedge.station.config.station import load_station

logger = logging.getLogger(__name__)

SHOWN: dict[Subject, tuple[str, ...]] = {
    "events": ("number", "raised_at", "camera", "kind", "phase", "level", "message"),
    "scores": ("captured_at", "camera", "sequence", "score", "level", "frames"),
    "marks": ("at", "who", "camera", "mark", "event_id", "frame", "note"),
    "audit": ("at", "who", "camera", "action", "before", "after"),
    "deliveries": ("number", "sink", "attempts", "delivered_at", "rejected_at", "last_error"),
    "runs": ("run_id", "started_at", "ended_at", "camera", "frames_inspected", "alerts"),
}
"""Columns that fit on a terminal."""


@click.command()
@click.argument("subject", type=click.Choice(SUBJECTS), default="events")
@journal_options("The station file whose journal is shown.")
@click.option(
    "--since",
    metavar="TIME",
    help="Only rows since a date, a date and time, or an age: 90m, 12h, 7d.",
)
@click.option("--until", metavar="TIME", help="Only rows before this time, as for --since.")
@click.option("--camera", metavar="NAME", help="Only this camera.")
@click.option("--kind", type=click.Choice(KINDS), help="Only events of this kind.")
@click.option("--level", type=click.Choice(get_args(Level)), help="Only this level.")
@click.option("--phase", type=click.Choice(get_args(Phase)), help="Only this phase.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    help="Only this many of the newest rows; by default 100, or all with --out.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a table to FILE.csv or FILE.parquet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def history(
    subject: Subject,
    journal: Path | None,
    station: Path | None,
    since: str | None,
    until: str | None,
    camera: str | None,
    kind: str | None,
    level: str | None,
    phase: str | None,
    most: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show events, scores, marks, the audit trail, deliveries or runs of a journal.

    The audit trail records who changed levels or recipes, from what to what, and when.
    """
    query = Query(
        subject,
        since and parse_time(since),
        until and parse_time(until),
        camera,
        kind,
        level,
        phase,
        most or (None if out else 100),
    )
    with JournalReader(_journal(journal, station)) as opened:
        if out is not None:
            count = write_table(out, COLUMNS[subject], opened.rows(query))
            logger.info(f"Wrote {count:,} rows to {out}.")
            if as_json:
                print_json({"rows": count, "path": str(out)})
        elif as_json:
            print_json({subject: list(opened.documents(query))})
        else:
            _print(SHOWN[subject], opened.rows(query))


def _journal(journal: Path | None, station: Path | None) -> Path:
    if journal is None and station is not None:
        journal = load_station(station).journal.file
    return check_journal(journal or DEFAULT_JOURNAL)


def _print(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    is_empty = True
    for row in rows:
        is_empty = False
        shown = ("" if row[name] is None else _short(row[name]) for name in columns)
        click.echo("  ".join(shown).rstrip())
    if is_empty:
        logger.info("The journal has no such rows.")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))
