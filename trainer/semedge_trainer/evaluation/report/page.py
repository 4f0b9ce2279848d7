"""The report's page, filled from the templates beside this file.

Texts are escaped as they enter. A byte of a file's name that is no text becomes a question mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Chapter:
    """A part of the page, reached from its contents.

    Attributes
    ----------
    anchor, heading
        Where it is, and what stands above it.
    template
        File in `templates/`.
    content
        What that file calls `content`.
    """

    anchor: str
    heading: str
    template: str
    content: Mapping[str, Any]


def fill_page(title: str, lead: str, chapters: Sequence[Chapter], colophon: str) -> bytes:
    """The whole page, which needs no other file."""
    templates = Environment(
        loader=PackageLoader(__package__ or ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = templates.get_template("page.html").render(
        title=title, lead=lead, chapters=chapters, colophon=colophon
    )
    return page.encode(errors="replace")
