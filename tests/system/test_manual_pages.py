"""The pages of the manual are read alike by GitHub and by MkDocs, and listed in its index."""

from __future__ import annotations

import re

import pytest
from documented import FENCED, ROOT, pages
from figures import sections_of

ITEM = re.compile(r"( *)(?:[-*]|\d+\.) ")
FENCE = re.compile(r"( *)```")
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)")
MANUAL = [page for page in pages() if page.startswith("docs/")]


@pytest.mark.parametrize("page", pages())
def test_lists_are_indented_by_four_and_begin_after_a_blank_line(page: str) -> None:
    """Python-Markdown nests only what is indented by four, and else ends the list."""
    fenced = False
    before, depth, loose = "", 0, False
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        item = None if fenced else ITEM.match(line)
        where = f"{page}:{number}: {line!r}"
        if fence is not None and not fenced:
            assert len(fence[1]) % 4 == 0, f"{where} needs an indent of four"
        if item is not None:
            assert len(item[1]) % 4 == 0, f"{where} needs an indent of four"
            if len(item[1]) < depth or loose:
                assert not before, f"{where} ends an item of several parts and needs a blank line"
            elif not item[1]:
                continues = ITEM.match(before) or before.startswith(" ") or not before
                assert continues, f"{where} needs a blank line before it"
            depth, loose = len(item[1]), False
        if line.startswith("|") and not fenced:
            assert before.startswith(("|", "<!--")) or not before, f"{where} needs a blank line"
        if fence is not None:
            fenced = not fenced
        if line and not line.startswith(" ") and item is None:
            depth, loose = 0, False
        loose = loose or (line.startswith(" ") and not before and item is None)
        before = line


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_to_a_file_and_a_section(page: str) -> None:
    """Also of pages that the manual does not link to, which MkDocs does not see."""
    lost = []
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, anchor in LINK.findall(FENCED.sub("", text)):
        file = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        if not file.exists():
            lost.append(target)
        elif anchor:
            sections = sections_of(file.read_text(encoding="utf-8"))
            if anchor not in {each.anchor for each in sections}:
                lost.append(f"{target}#{anchor}")
    assert lost == []


@pytest.mark.parametrize("page", MANUAL)
def test_every_page_of_the_manual_is_in_its_navigation(page: str) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert page.removeprefix("docs/") in navigation


@pytest.mark.parametrize(("page", "most"), [("README.md", 150), ("docs/results.md", 250)])
def test_what_everyone_reads_is_short(page: str, most: int) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= most


@pytest.mark.parametrize("page", [page for page in MANUAL if page.startswith("docs/research/")])
def test_a_page_of_research_answers_and_names_command_machine_and_date(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert re.match(r"# .+\?\n\n\*\*Answer\.\*\* ", text)
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", text)
    assert "cores" in text or "one core" in text
    assert "```\n" in text or "](thesis-detectors.md" in text
