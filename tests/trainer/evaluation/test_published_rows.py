"""The table of the manual is that of the published rows of the comparison."""

from __future__ import annotations

import subprocess
import sys

from documented import ROOT

PAGE = ROOT / "docs" / "research" / "thesis-claims.md"


def test_the_page_has_the_table_of_the_rows() -> None:
    command = [sys.executable, "benchmarks/comparison.py", "table", "benchmarks/comparison"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    assert "| ebgan |" in done.stdout
    assert " ".join(done.stdout.split()) in " ".join(PAGE.read_text(encoding="utf-8").split())
