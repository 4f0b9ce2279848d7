"""The report's page: its frame, and the few kinds of things that stand on it.

Texts are escaped as they enter; what is `Markup` already is HTML. A byte of a file's name that is
no text becomes a question mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from string import Template

from markupsafe import Markup, escape

from semedge_trainer.evaluation.report.picture import Picture
from semedge_trainer.evaluation.report.tables import ColumnGroup, Figure


@dataclass(frozen=True)
class Section:
    """A part of the page, reached from its contents."""

    anchor: str
    heading: str
    parts: Sequence[Markup]

    @property
    def html(self) -> Markup:
        """The section as it stands on the page."""
        return Markup(
            '<section id="{0}" aria-labelledby="{0}-title">\n<h2 id="{0}-title">{1}</h2>\n'
            "{2}\n</section>"
        ).format(self.anchor, self.heading, joined(self.parts))


def fill_page(title: str, lead: str, sections: Sequence[Section], colophon: str) -> bytes:
    """The whole page."""
    folder = package_files(__package__ or "")
    links = (
        Markup('<li><a href="#{}">{}</a></li>').format(section.anchor, section.heading)
        for section in sections
    )
    page = Template(folder.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        lead=escape(lead),
        style=folder.joinpath("page.css").read_text(encoding="utf-8"),
        contents=joined(links),
        sections=joined(section.html for section in sections),
        colophon=escape(colophon),
    )
    return page.encode(errors="replace")


def joined(parts: Iterable[Markup]) -> Markup:
    """One part a line."""
    return Markup("\n").join(parts)


def heading(text: str) -> Markup:
    """The heading of a part of a section."""
    return Markup("<h3>{}</h3>").format(text)


def note(text: str) -> Markup:
    """A paragraph that explains."""
    return Markup('<p class="note">{}</p>').format(text)


def block(kind: str, parts: Iterable[Markup]) -> Markup:
    """Parts that are laid out together."""
    return Markup('<div class="{}">\n{}\n</div>').format(kind, joined(parts))


def picture_html(picture: Picture) -> Markup:
    """A picture that the page holds."""
    return Markup('<img src="{}" alt="{}">').format(picture.data_uri, picture.alt)


def figure(pictures: Iterable[Picture], caption: str | Markup) -> Markup:
    """Pictures under one caption."""
    shown = joined(picture_html(picture) for picture in pictures)
    return Markup(
        '<figure>\n<div class="panels">{}</div>\n<figcaption>{}</figcaption>\n</figure>'
    ).format(shown, caption)


def facts(pairs: Mapping[str, str]) -> Markup:
    """Names beside what they are."""
    rows = (Markup("<dt>{}</dt><dd>{}</dd>").format(*pair) for pair in pairs.items())
    return Markup('<dl class="facts">\n{}\n</dl>').format(joined(rows))


def figures(items: Iterable[Figure]) -> Markup:
    """Numbers to be seen first."""
    boxes = (
        Markup("<div><dt>{}</dt><dd><b>{}</b><small>{}</small></dd></div>").format(
            item.name, item.value, item.interval
        )
        for item in items
    )
    return Markup('<dl class="figures">\n{}\n</dl>').format(joined(boxes))


def table(label: str, groups: Sequence[ColumnGroup], rows: Mapping[str, Sequence[str]]) -> Markup:
    """A table that scrolls on its own where the page is narrow."""
    above = joined(
        Markup('<th scope="colgroup" colspan="{}">{}</th>').format(
            len(group.columns), group.heading
        )
        for group in groups
    )
    columns = joined(
        Markup('<th scope="col">{}</th>').format(name)
        for group in groups
        for name, _ in group.columns
    )
    body = joined(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            name, Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells)
        )
        for name, cells in rows.items()
    )
    return Markup(
        '<div class="wide" role="region" aria-label="{}" tabindex="0"><table>\n<thead>\n'
        '<tr><th scope="col" rowspan="2">score</th>{}</tr>\n<tr>{}</tr>\n</thead>\n'
        "<tbody>\n{}\n</tbody>\n</table></div>"
    ).format(label, above, columns, body)
