"""Measured figures that stand in the documentation, and where each says what it rests on.

A block of a page (a paragraph, a list or a table) that has a figure names its origin by a clause

    measured by `COMMAND`: DATA; MACHINE; DATE
    measured: [PAGE](page.md#section)

in itself, or lies in a section with a paragraph that begins with such a clause; so do the sections
below that one. The second form leads to a section that has the first, or to a page of research.
Settings and limits look like figures and are none: `LIMITS` of the test lists them, and a table
with one of them is none of figures.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from documented import PROGRAMS, ROOT

FENCED = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```[^\n]*$", re.M | re.S)
REMARK = re.compile(r"(?<=\s)# (.+)$", re.M)
COMMENT = re.compile(r"<!--.*?-->", re.S)
HEADING = re.compile(r"^(#+) (.+)$", re.M)
NUMBER = r"\d[\d,.]*"
FIGURE = re.compile(
    rf"{NUMBER} (?:ms|µs|kB|MB|GB|frames/s|times (?:as|the|faster|slower|longer))(?![\w/])"
    rf"|\b\d+\.\d+ (?:s|min|minutes)\b"
    rf"|\btakes? (?:about )?{NUMBER} (?:s|seconds|minutes)\b|{NUMBER} s of processor time"
    rf"|\b{NUMBER} of (?:the |its )?\d+\b"
    rf"|(?:AUROC|AUPRO|correlation)[^.|]*?\b[01]\.\d\d+"
)
FIGURE_CELL = re.compile(r"[*+-]*\d+(?:\.\d+| ?%)(?![\d.]*\.)")
FEWEST_CELLS = 3
COMMANDS = r"(?:the commands? (?:above|below)|(?:`[^`]+`(?:[^`:;]|(?=`))*)+)"
MEASURED = re.compile(
    rf"[Mm]easured by (?P<commands>{COMMANDS}): (?P<data>[^;]+); (?P<machine>.+?); "
    r"(?P<date>20\d\d-\d\d-\d\d)"
)
MACHINE = re.compile(r"\bcores?\b|x86-64")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
NAMED_FILE = re.compile(r"\b(?:tests|benchmarks|examples)/[a-z\d_/]+\.[a-z]+")
"""Programs and tests that a page names by their path."""
ELSEWHERE = re.compile(r"[Mm]easured: \[[^]]+\]\((?P<page>[^)#]*)#?(?P<anchor>[^)]*)\)")


@dataclass(frozen=True)
class Section:
    """What stands below a heading, before the next one."""

    title: str
    depth: int
    blocks: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """The id that links to it have."""
        kept = re.sub(r"[^\w\s-]", "", self.title.lower()).strip()
        return re.sub(r"[\s-]+", "-", kept)


def sections_of(text: str) -> list[Section]:
    """The sections of a page, each by itself; of code only the remarks beside commands are left."""
    text = COMMENT.sub("", FENCED.sub(_remarks, text))
    headings = [(0, 0, 0, "")]
    headings += [
        (each.start(), each.end(), len(each[1]), each[2]) for each in HEADING.finditer(text)
    ]
    ends = [start for start, *_ in headings[1:]] + [len(text)]
    return [
        Section(title, depth, tuple(_blocks(text[begin:end])))
        for (_, begin, depth, title), end in zip(headings, ends, strict=True)
    ]


def _remarks(fenced: re.Match[str]) -> str:
    remarks = REMARK.findall(fenced[2]) if fenced[1].startswith("sh") else []
    return "\n\n".join(remarks)


def _blocks(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        if block.strip().startswith("|"):
            yield block.strip()
        elif block.strip():
            yield " ".join(block.split())


def has_figure(block: str, limits: Sequence[str] = ()) -> bool:
    """Whether a block has a measured figure, apart from the settings and limits that are named."""
    if block.startswith("|") and any(limit in block for limit in limits):
        return False
    for limit in limits:
        block = block.replace(limit, "")
    if not block.startswith("|"):
        return FIGURE.search(block) is not None
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()]
    numbers = sum(FIGURE_CELL.match(cell) is not None for row in rows for cell in row)
    return numbers >= FEWEST_CELLS or FIGURE.search(block) is not None


def unexplained(page: Path, text: str, limits: Sequence[str] = ()) -> list[str]:
    """The blocks of a page with a figure whose origin is not named."""
    found = []
    above: list[tuple[int, bool]] = []
    for section in sections_of(text):
        above = [(depth, named) for depth, named in above if depth < section.depth]
        named = any(_names_origin(page, text, block, whole=True) for block in section.blocks)
        above.append((section.depth, named))
        if any(named for _, named in above):
            continue
        found += [
            block
            for block in section.blocks
            if has_figure(block, limits) and not _names_origin(page, text, block, whole=False)
        ]
    return found


def _names_origin(page: Path, text: str, block: str, whole: bool) -> bool:
    """Whether a block has a clause; `whole`: whether it begins with one, and so counts for all."""
    find = re.match if whole else re.search
    if find(MEASURED, block):
        return True
    link = find(ELSEWHERE, block)
    return link is not None and _leads_to_origin(page, text, link["page"], link["anchor"])


def _leads_to_origin(page: Path, text: str, target: str, anchor: str) -> bool:
    there = (page.parent / target).resolve() if target else page
    if there.parent.name == "research":
        return there.is_file()
    sections = sections_of(there.read_text(encoding="utf-8") if target else text)
    if anchor and anchor not in {each.anchor for each in sections}:
        return False
    around: list[Section] = []
    for section in sections:
        around = [each for each in around if each.depth < section.depth] + [section]
        if section.anchor == anchor or not anchor:
            blocks = [block for each in around for block in each.blocks]
            if any(MEASURED.match(block) for block in blocks):
                return True
            if any(MEASURED.search(block) for block in section.blocks):
                return True
    return False


def faults_of(text: str) -> list[str]:
    """What is wrong with the clauses of a page: a machine without cores, an unknown command."""
    faults = []
    for block in (block for section in sections_of(text) for block in section.blocks):
        for clause in MEASURED.finditer(block):
            if not MACHINE.search(clause["machine"]):
                faults.append(f"{clause[0]!r} names no machine")
            if not _is_date(clause["date"]):
                faults.append(f"{clause[0]!r} has a date that is none")
            for command in re.findall(r"`([^`]+)`", clause["commands"]):
                faults += [f"{clause[0]!r}: {fault}" for fault in _faults_of_command(command)]
    return faults


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _faults_of_command(command: str) -> Iterator[str]:
    program, *arguments = shlex.split(command)
    if Path(program).name not in PROGRAMS | {"du"}:
        yield f"{program} is no program"
    for each in arguments:
        if each.endswith(".py") and not (ROOT / each).is_file():
            yield f"there is no {each}"
        environment = each.startswith(".venv")
        if program == "make" and not environment and f"\n{each}:" not in MAKEFILE:
            yield f"the Makefile has no {each}"
