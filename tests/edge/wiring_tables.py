"""The tables of `docs/reference/interfaces.md`, from the code that they describe.

`wiring_tables.py` writes them into the page again, between its marks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from semedge.sinks.modbus_registers import CAMERA, SETTINGS, STATION, Register
from semedge.sinks.opcua_nodes import CAMERA_NODES, METHODS, STATION_NODES, NodeRow
from semedge.sinks.opcua_tree import Method

END = "<!-- end -->"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "interfaces.md"


def tables() -> dict[str, str]:
    """The tables by the name in their marks."""
    return {
        "modbus station": registers(STATION),
        "modbus settings": registers(SETTINGS),
        "modbus camera": registers(CAMERA),
        "opcua station": nodes(STATION_NODES),
        "opcua camera": nodes(CAMERA_NODES),
        "opcua methods": methods(METHODS),
    }


def registers(rows: Sequence[Register]) -> str:
    """A table of registers."""
    return table(
        ("address", "words", "name", "type", "value"),
        [(str(r.address), str(r.words), f"`{r.name}`", r.type, r.meaning) for r in rows],
    )


def nodes(rows: Sequence[NodeRow]) -> str:
    """A table of nodes."""
    return table(("node", "type", "value"), [(f"`{r.path}`", r.type, r.meaning) for r in rows])


def methods(rows: Sequence[Method]) -> str:
    """A table of methods."""
    return table(
        ("method", "effect"),
        [
            (f"{row.name}({', '.join(each.name for each in row.inputs)})", row.effect)
            for row in rows
        ],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(page: str) -> str:
    """The page with every table as the code has it."""
    for name, text in tables().items():
        before, mark, after = page.partition(f"<!-- table: {name} -->\n")
        assert mark, f"the page has no place for the table {name!r}"
        page = f"{before}{mark}{text}\n{END}{after.partition(END)[2]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
