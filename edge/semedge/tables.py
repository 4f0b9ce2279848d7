"""Rows as files that other programs read: CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from semedge.errors import SemedgeError
from semedge.extras import import_extra
from semedge.files import written_whole

LOT_ROWS = 10_000

WHOLE_NUMBERS = frozenset(
    {
        *("number", "sequence", "frames", "attempts", "run_id", "alerts", "frames_seen"),
        *("frames_inspected", "frames_skipped", "frames_lost", "frames_warned", "frames_alarmed"),
    }
)
NUMBERS = frozenset({"score", "frame_score", "threshold", "duration_s"})


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to `path`, whose ending says how; the number of rows.

    `.csv` has a line of names, empty fields for None and times as ISO-8601 text in UTC; `.parquet`
    needs the extra `parquet`.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _write_csv(path, columns, rows)
    if suffix == ".parquet":
        return _write_parquet(path, columns, rows)
    raise SemedgeError(
        f"A table is written to a file that ends in .csv or .parquet. Received: {path}"
    )


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with written_whole(path) as whole, whole.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    arrow = import_extra("pyarrow", "parquet", "A Parquet file")
    parquet = import_extra("pyarrow.parquet", "parquet", "A Parquet file")
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in columns])
    count = 0
    with written_whole(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for lot in _lots(rows):
            writer.write_table(arrow.Table.from_pylist(lot, schema=schema))
            count += len(lot)
    return count


def _arrow_type(arrow: Any, name: str) -> Any:
    if name in WHOLE_NUMBERS:
        return arrow.int64()
    return arrow.float64() if name in NUMBERS else arrow.string()


def _lots(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    remaining = iter(rows)
    while lot := list(islice(remaining, LOT_ROWS)):
        yield lot
