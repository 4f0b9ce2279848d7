"""The tables of the manual are those of the published cells."""

from __future__ import annotations

from documented import ROOT

from semedge_trainer.ablation.plan import SUBSETS, TABLES, Cell
from semedge_trainer.ablation.tables import as_markdown

CELLS = ROOT / "benchmarks" / "ablation" / "cells"
PAGE = ROOT / "docs" / "research" / "stabilization.md"


def test_the_page_has_the_tables_of_the_cells() -> None:
    cells = [Cell.model_validate_json(path.read_bytes()) for path in CELLS.glob("*.json")]
    tables, subsets = list(TABLES), list(SUBSETS)
    cells.sort(
        key=lambda cell: (
            tables.index(cell.settings.detector),
            subsets.index(cell.settings.subset),
            cell.settings.seed,
        )
    )
    results = {cell.settings: cell.result for cell in cells}
    detectors = list(dict.fromkeys(cell.detector for cell in results))
    assert detectors
    text = as_markdown(detectors, results).replace("### ", "#### ")
    assert " ".join(text.split()) in " ".join(PAGE.read_text(encoding="utf-8").split())
