"""The page of the command line is what the commands' own help says."""

from __future__ import annotations

from command_reference import command_reference
from pages import DOCS

PAGE = DOCS / "reference" / "command-line.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == command_reference(), (
        "run `python tests/command_reference.py > docs/reference/command-line.md`"
    )
