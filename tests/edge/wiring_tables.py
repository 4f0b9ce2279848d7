"""The tables of `docs/wiring.md`, from the code that they describe.

`wiring_tables.py` writes them into the page again, between its marks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

from semedge.section import Section
from semedge.sinks.base import SinkSection
from semedge.sinks.choice import AnySection
from semedge.sinks.modbus_map import CAMERA, SETTINGS, STATION, Register
from semedge.sinks.opcua_nodes import CAMERA_NODES, METHODS, STATION_NODES, NodeRow
from semedge.web.section import WebSection

END = "<!-- end -->"
PAGE = Path(__file__).parents[2] / "docs" / "wiring.md"


def tables() -> dict[str, str]:
    """The tables by the name in their marks."""
    return {
        "every sink": settings(SinkSection),
        **{kind_of(each): settings(each) for each in get_args(AnySection)},
        "web": settings(WebSection),
        "modbus station": registers(STATION),
        "modbus settings": registers(SETTINGS),
        "modbus camera": registers(CAMERA),
        "opcua station": nodes(STATION_NODES),
        "opcua camera": nodes(CAMERA_NODES),
        "opcua methods": table(("method", "what it does"), METHODS),
    }


def kind_of(section: type[SinkSection]) -> str:
    """The word of a kind of sink."""
    kind: str = get_args(section.model_fields["kind"].annotation)[0]
    return kind


def settings(section: type[Section]) -> str:
    """The settings of a table of the station file that not every sink has."""
    common = set() if section is SinkSection else set(SinkSection.model_fields)
    rows = []
    for name, field in section.model_fields.items():
        if name in common | {"kind"}:
            continue
        default = "needed" if field.is_required() else shown(field.default)
        rows.append((f"`{name}`", default, (field.description or "").rstrip(".")))
    return table(("setting", "where absent", "what it is"), rows)


def shown(value: object) -> str:
    """A default for people."""
    if value is None or value == ():
        return "–"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def registers(rows: Sequence[Register]) -> str:
    """A table of registers."""
    return table(
        ("address", "words", "name", "type", "what it holds"),
        [(str(r.address), str(r.words), f"`{r.name}`", r.type, r.meaning) for r in rows],
    )


def nodes(rows: Sequence[NodeRow]) -> str:
    """A table of nodes."""
    return table(("node", "type", "value"), [(f"`{r.path}`", r.type, r.meaning) for r in rows])


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
