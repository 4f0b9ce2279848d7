"""Commands that stand in the documentation.

The first line of a block of commands says how they are run, in a second word that no reader sees:

- `sh`: a test runs them, in the order of the page;
- `sh setup`: they install or build something, as `make` and `pip` do;
- `sh hardware`: they need a camera, a receiver, systemd or root;
- `sh data`: they need real images or hours, and their results stand in the page.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pages import DOCS

ROOT = DOCS.parent
FENCED = re.compile(r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^ *```", re.M | re.S)
INLINE = re.compile(r"`((?:[a-z/.-]+/)?semedge [^`…]+)`")
MARKS = ("sh", "sh setup", "sh hardware", "sh data")
PROGRAMS = {
    *("semedge", "make", "pip", "python", "python3", "pytest", "pre-commit", "git", "export"),
    *("apt", "apt-get", "systemctl", "useradd", "openssl"),
}
MEASURED = ("docs/results.md", "docs/research/", "benchmarks/README.md")
"""Pages of measurements, whose blocks are all `sh data`."""


@dataclass(frozen=True)
class Block:
    """A block of a page: what follows its fence, and its lines without their indent."""

    page: str
    info: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The commands, one a line: continued lines are joined, chained ones are parted."""
        joined = self.text.replace("\\\n", " ")
        return [each.strip() for line in joined.splitlines() for each in line.split("&&")]

    @property
    def commands(self) -> list[list[str]]:
        """The commands as words, without comments."""
        words = (shlex.split(line, comments=True) for line in self.lines)
        return [each for each in words if each]


def pages() -> list[str]:
    """Every page of the repository, by its path."""
    top = [*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md", ROOT / "examples" / "README.md"]
    return sorted(str(page.relative_to(ROOT)) for page in [*top, *DOCS.rglob("*.md")])


def blocks_of(page: str) -> Iterator[Block]:
    """The page's blocks, in their order."""
    for match in FENCED.finditer((ROOT / page).read_text(encoding="utf-8")):
        indent = len(match["indent"])
        text = "".join(line[indent:] for line in match["text"].splitlines(keepends=True))
        yield Block(page, match["info"].strip(), text)


def is_measured(page: str) -> bool:
    """Whether a page's commands made the figures that stand beside them."""
    return page.startswith(MEASURED)


def starts_with_a_program(line: str) -> bool:
    """Whether a line of a block is a command."""
    first = line.split(maxsplit=1)[:1]
    return bool(first) and Path(first[0]).name in PROGRAMS


def inline_commands(text: str) -> list[list[str]]:
    """The calls of `semedge` within a text, as words."""
    return [shlex.split(each.replace("\n", " ")) for each in INLINE.findall(text)]
