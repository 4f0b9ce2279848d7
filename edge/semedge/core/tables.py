"""Tables as files that other programs read: CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.files import written_atomically
from semedge.core.optional import import_extra

BATCH_ROWS = 10_000

INTEGERS = frozenset(
    {
        *("number", "sequence", "frames", "attempts", "run_id", "alerts", "frames_seen"),
        *("frames_inspected", "frames_skipped", "frames_lost", "frames_warned", "frames_alarmed"),
        *("peak_x_px", "peak_y_px"),
    }
)
FLOATS = frozenset(
    {
        *("score", "frame_score", "raw_score", "score_origin", "score_unit", "threshold"),
        "duration_s",
    }
)
BOOLEANS = frozenset({"above_threshold"})
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet computes."""
SUFFIXES = (".csv", ".parquet")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to `path`, in the format of its extension; the number of rows.

    `.csv` has a header line, empty fields for None and times as ISO-8601 text in UTC, in UTF-8 with
    the mark by which Excel knows it; a text that a spreadsheet would take for a formula begins with
    an apostrophe. `.parquet` needs the extra `parquet`.
    """
    check_table(path)
    write = _write_csv if path.suffix.lower() == ".csv" else _write_parquet
    return write(path, columns, rows)


def check_table(path: Path) -> None:
    """Raise `SemedgeError` where no table can be written in the format of `path`."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SemedgeError(
            f"A table is written to a file that ends in .csv or .parquet. Received: {path}"
        )
    if suffix == ".parquet":
        import_extra("pyarrow", "parquet", "A Parquet file")


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with (
        written_atomically(path) as whole,
        whole.open("w", newline="", encoding="utf-8-sig") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _neutral(value) for name, value in row.items()})
            count += 1
    return count


def _neutral(value: Any) -> Any:
    """The value, but a text that begins as a formula does, as a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    arrow = import_extra("pyarrow", "parquet", "A Parquet file")
    parquet = import_extra("pyarrow.parquet", "parquet", "A Parquet file")
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in columns])
    count = 0
    with written_atomically(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for batch in _batches(rows):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _arrow_type(arrow: Any, name: str) -> Any:
    if name in INTEGERS:
        return arrow.int64()
    if name in BOOLEANS:
        return arrow.bool_()
    return arrow.float64() if name in FLOATS else arrow.string()


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH_ROWS)):
        yield batch
