"""Tables that a spreadsheet reads as they are meant."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from semedge.core.tables import write_table


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1.png", "'=1+1.png"),
        ("@SUM(A1).png", "'@SUM(A1).png"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("+49.png", "'+49.png"),
        ("Größe.png", "Größe.png"),
        ("two\nlines.png", "two\nlines.png"),
    ],
)
def test_names_are_texts_and_numbers_stay_numbers(tmp_path: Path, name: str, cell: str) -> None:
    path = tmp_path / "t.csv"
    assert write_table(path, ("path", "frame_score"), [{"path": name, "frame_score": -2.5}]) == 1
    assert path.read_bytes().startswith(b"\xef\xbb\xbfpath,frame_score\r\n")
    with path.open(newline="", encoding="utf-8-sig") as file:
        assert list(csv.DictReader(file)) == [{"path": cell, "frame_score": "-2.5"}]
