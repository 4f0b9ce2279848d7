"""The tables of the manual are those of the published rows of the comparison."""

from __future__ import annotations

import subprocess
import sys
from statistics import mean, stdev

import pytest
from documented import ROOT

RESEARCH = ROOT / "docs" / "research"
PAGES = {"comparison": "thesis-claims.md", "appendix": "appendix-rates.md"}
FIRST, SECOND, BOTH = "thesis", "second-seed", "both-seeds"


def lines_between(text: str, marker: str) -> list[list[str]]:
    """The cells of the tables between two markers, without their headings."""
    inside = text.partition(f"<!-- {marker}: begin -->")[2].partition(f"<!-- {marker}: end -->")[0]
    rows = [line.strip("| ").split(" | ") for line in inside.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] != "detector"]


@pytest.mark.parametrize(("folder", "detector"), [("comparison", "ebgan"), ("appendix", "bigan")])
def test_the_page_has_the_table_of_the_rows(folder: str, detector: str) -> None:
    command = [sys.executable, "benchmarks/comparison.py", "table", f"benchmarks/{folder}"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    page = (RESEARCH / PAGES[folder]).read_text(encoding="utf-8")
    assert f"| {detector} |" in done.stdout
    assert " ".join(done.stdout.split()) in " ".join(page.split())


@pytest.mark.parametrize("folder", PAGES)
def test_their_errors_need_no_run(folder: str) -> None:
    rows = {path: path.read_bytes() for path in (ROOT / "benchmarks" / folder).glob("*.json")}
    command = [sys.executable, "benchmarks/comparison.py", "errors", f"benchmarks/{folder}"]
    subprocess.run(command, cwd=ROOT, timeout=120, check=True)
    assert rows == {path: path.read_bytes() for path in rows}


def test_what_two_seeds_differ_by_is_what_their_tables_say() -> None:
    page = (RESEARCH / PAGES["appendix"]).read_text(encoding="utf-8")
    found = []
    for marker in (FIRST, SECOND):
        rows = lines_between(page, marker)
        found.append(
            {(row[0], row[1].strip("`")): float(row[2].split()[0]) for row in rows if len(row) > 6}
            | {(row[0], "error"): float(row[5]) for row in rows if len(row) == 6 and row[5] != "–"}
        )
    both = lines_between(page, BOTH)
    for detector, measured, *cells in both:
        name = measured.strip("`") if measured.startswith("`") else "error"
        values = [seed[detector, name] for seed in found]
        assert [float(cell) for cell in cells[:2]] == values
        digits = 2 if name == "error" else 3
        assert cells[2] == f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"
    assert {row[0] for row in both} == {detector for detector, _ in found[1]}
