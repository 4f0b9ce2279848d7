"""Every measured figure in the documentation names its command, data, machine and date."""

from __future__ import annotations

import pytest
from documented import ROOT, pages
from figures import NAMED_FILE, faults_of, has_figure, sections_of, unexplained

PAGES = [
    page for page in pages() if not page.startswith("docs/research/") and page != "CHANGELOG.md"
]
"""`test_manual_pages.py` has the rule for pages of research."""

LIMITS = {
    "benchmarks/README.md": ("| asserted | limit |",),
    "docs/explanation/guarantee.md": ("correlation 0.99",),
    "docs/explanation/station.md": ("after 0.5 s", "more than 8 MB"),
    "docs/how-to/calibrating.md": ("frames needed",),
    "docs/how-to/cameras.md": ("(0.25 s)",),
    "docs/how-to/learning.md": ("correlation below 0.25", "by 0.012 of AUROC"),
    "docs/how-to/marking.md": ("(128 MB)", "(4 GB)"),
    "docs/how-to/new-detector.md": ("rank correlation with the trained networks below 0.99",),
    "docs/reference/interfaces.md": ("more than 100 times the threshold",),
    "docs/reference/station-file.md": ("| key | type | default | meaning |",),
}
"""Settings, limits and computed numbers of each page, which nobody measured."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_names_its_origin(page: str) -> None:
    assert unexplained(ROOT / page, text_of(page), LIMITS.get(page, ())) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_origin_names_a_machine_and_commands_that_exist(page: str) -> None:
    assert faults_of(text_of(page)) == []


@pytest.mark.parametrize("page", LIMITS)
def test_the_limits_of_a_page_stand_there(page: str) -> None:
    text = " ".join(text_of(page).split())
    assert [limit for limit in LIMITS[page] if limit not in text] == []


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "benchmarks/README.md",
        "docs/results.md",
        "docs/reliability.md",
        "docs/explanation/speed.md",
        "docs/how-to/cameras.md",
    ],
)
def test_figures_are_found(page: str) -> None:
    blocks = [block for section in sections_of(text_of(page)) for block in section.blocks]
    assert any(has_figure(block) for block in blocks)


HEAD = "# Page\n\n## Speed\n\n"
ORIGIN = "`semedge bench`: simulated frames; two AMD EPYC cores; 2026-11-28"
TABLE = "| | |\n|---|---|\n| a | 0.98 |\n| b | 0.97 |\n| c | 0.96 |\n"


@pytest.mark.parametrize(
    "figure",
    [
        "A frame takes 52 ms.",
        "It judges 19 frames/s.",
        "The process has 172 MB.",
        "It finds 36 of 37 defects.",
        "It finds 36 of\nthe 37 defects.",
        "The image AUROC of\ntiles is 0.946.",
        "It is 72,000 times faster.",
        "It takes 20 minutes.",
        "It waits for 0.56 s.",
        "- One takes less.\n- The other takes 1.5 min.",
        "```sh setup\npip install .  # 354 MB\n```",
        TABLE,
        TABLE.replace("0.98", "98 %").replace("0.97", "97 %").replace("0.96", "96 %"),
    ],
)
def test_a_figure_without_origin_is_found(figure: str) -> None:
    assert len(unexplained(ROOT / "page.md", HEAD + figure)) == 1
    assert not unexplained(ROOT / "page.md", f"{HEAD}{figure}\n\nMeasured by {ORIGIN}.")


@pytest.mark.parametrize(
    "text",
    [
        "A frame takes a while; 2 of n must be above the level, within 3 s.",
        "Of `LiteRT 2.3.0` and Python 3.11 both run; see section 1.2.",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
        "```\nlatency 18 ms\n```",
    ],
)
def test_what_is_no_figure_needs_no_origin(text: str) -> None:
    assert not unexplained(ROOT / "page.md", HEAD + text)


@pytest.mark.parametrize(
    ("rest", "explained"),
    [
        (f"It takes 52 ms (measured by {ORIGIN}).", True),
        ("It takes 52 ms (measured by the command\nabove: a; two cores; 2026-11-28).", True),
        (f"It takes 52 ms.\n\nAnother (measured by {ORIGIN}) does not count.", False),
        (f"It takes 52 ms.\n\n## Else\n\nMeasured by {ORIGIN}.", False),
        (f"Measured by {ORIGIN}.\n\n### Below\n\nIt takes 52 ms.", True),
        ("It takes 52 ms (`semedge bench`, two AMD EPYC cores, 2026-11-28).", False),
        ("It takes 52 ms (measured by `semedge bench`: frames; two cores).", False),
        ("It takes 52 ms (measured by `semedge bench`; two cores; 2026-11-28).", False),
        ("It takes 52 ms (measured: [Speed](docs/explanation/speed.md)).", True),
        (
            "It takes 52 ms (measured: [Speed](docs/explanation/speed.md#where-the-time-goes)).",
            True,
        ),
        ("It takes 52 ms (measured: [Speed](docs/explanation/speed.md#nowhere)).", False),
        ("It takes 52 ms (measured: [Glossary](docs/glossary.md)).", False),
        ("It takes 52 ms (measured: [int8](docs/research/int8.md)).", True),
        (f"It takes 52 ms (measured: [below](#else)).\n\n## Else\n\nMeasured by {ORIGIN}.", True),
        ("It takes 52 ms (measured: [below](#else)).\n\n## Else\n\nNothing.", False),
    ],
)
def test_an_origin_is_in_the_block_the_section_or_where_a_link_leads(
    rest: str, explained: bool
) -> None:
    assert bool(unexplained(ROOT / "page.md", HEAD + rest)) is not explained


def test_limits_are_no_figures() -> None:
    text = HEAD + "It holds 128 MB, of which 4 GB are free."
    assert not unexplained(ROOT / "page.md", text, ("128 MB", "4 GB"))
    assert unexplained(ROOT / "page.md", text, ("128 MB",))
    assert not unexplained(ROOT / "page.md", HEAD + TABLE, ("| | |",))


@pytest.mark.parametrize(
    ("clause", "fault"),
    [
        ("`semedge bench`: frames; a fast machine; 2026-11-28", "names no machine"),
        ("`python benchmarks/none.py`: frames; two cores; 2026-11-28", "no benchmarks/none.py"),
        ("`magic`: frames; two cores; 2026-11-28", "magic is no program"),
        ("`make magic`: frames; two cores; 2026-11-28", "the Makefile has no magic"),
        ("`semedge bench`: frames; two cores; 2026-11-31", "a date that is none"),
    ],
)
def test_a_wrong_origin_is_found(clause: str, fault: str) -> None:
    (found,) = faults_of(f"{HEAD}Measured by {clause}.")
    assert fault in found


@pytest.mark.parametrize("page", pages())
def test_programs_that_a_page_names_exist(page: str) -> None:
    named = NAMED_FILE.findall(text_of(page))
    assert [each for each in named if not (ROOT / each).is_file()] == []
