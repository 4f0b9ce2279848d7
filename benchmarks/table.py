"""The pytest-benchmark JSON of one run as Markdown: printed, and put into a README if asked."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically

TABLE = "table"


def format_time(time_s: float) -> str:
    """Three digits with a fitting unit."""
    for limit_s, unit_s, unit in ((1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms")):
        if time_s < limit_s:
            return f"{_three_digits(time_s / unit_s)} {unit}"
    return f"{_three_digits(time_s)} s"


def format_ratio(ratio: float | None) -> str:
    """A ratio with its sign, empty on the reference."""
    return "" if ratio is None else f"{_three_digits(ratio)}x"


def render(results: dict[str, Any], command: str) -> str:
    """Markdown of a whole run, which a command has made."""
    sections = [_render_origin(results, command)]
    for benchmark in results["benchmarks"]:
        info = benchmark["extra_info"]
        if "title" in info:
            sections.append(_render_section(info, benchmark["stats"]["rounds"]))
    return "\n\n".join(sections)


def insert(readme: str, table: str, marker: str = TABLE) -> str:
    """The README with what stands between its markers of this name replaced."""
    begin, end = (f"<!-- {marker}: {edge} -->" for edge in ("begin", "end"))
    before, found_begin, rest = readme.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise SemedgeError(f"The README has no lines {begin} and {end}; put them back.")
    return f"{before}{begin}\n{table}\n{end}{after}"


def _render_origin(results: dict[str, Any], command: str) -> str:
    machine = results["machine_info"]
    packages = ", ".join(f"{name} {found}" for name, found in machine["packages"].items())
    dot_products = ", ".join(machine["int8_dot_products"]) or "none"
    return (
        f"Measured by `{command}`: simulated frames; "
        f"{machine['cpu']}, {machine['cores']} cores, int8 dot-product instructions: "
        f"{dot_products}; Python {machine['python']}; {packages}; {results['datetime'][:10]}."
    )


def _render_section(info: dict[str, Any], rounds: int) -> str:
    lines = [f"### {info['title']}", ""]
    if info["rows"]:
        lines += [f"| median of {rounds} rounds | time | ratio |", "|---|---:|---:|"]
        lines += [
            f"| {row['label']} | {format_time(row['median_s'])} | {format_ratio(row['ratio'])} |"
            for row in info["rows"]
        ]
    if info["figures"]:
        lines += ["", "| figure | |", "|---|---:|"]
        lines += [f"| {name} | {value} |" for name, value in info["figures"].items()]
    for note in info["notes"]:
        lines += ["", note]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def main() -> None:
    """Run as `python benchmarks/table.py RESULTS.json --command COMMAND [--readme README.md]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="What pytest-benchmark wrote.")
    parser.add_argument("--command", required=True, help="The command that measured them.")
    parser.add_argument("--readme", type=Path, help="A file to put the table into, too.")
    parser.add_argument("--marker", default=TABLE, help="Name of the lines that it goes between.")
    arguments = parser.parse_args()
    try:
        results = json.loads(arguments.results.read_text(encoding="utf-8"))
        table = render(results, arguments.command)
        if arguments.readme is not None:
            page = arguments.readme.read_text(encoding="utf-8")
            readme = insert(page, table, arguments.marker)
            write_atomically(arguments.readme, readme.encode())
    except (OSError, ValueError, KeyError, SemedgeError) as error:
        sys.exit(f"Error: the table cannot be made from {arguments.results}: {error!r}")
    print(table)


if __name__ == "__main__":
    main()
