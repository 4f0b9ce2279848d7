"""Regions are drawn on the page in Chromium, with a mouse and with a finger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chromium import CONTRASTS, SIZES, chromium, needs_chromium
from page_browser import opened, unlocked
from page_support import PageStation, page_station
from playwright.sync_api import Browser, Page, expect

pytestmark = needs_chromium

FIXTURE = (10, 200, 60, 40)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def station(tmp_path: Path) -> Iterator[PageStation]:
    with page_station(tmp_path) as started:
        setup = started.state.snapshot().cameras["top"].active_setup
        assert setup is not None
        changed = replace(setup, leave_out_px=(FIXTURE,), reach_px=16)
        started.state.change("top", active_setup=changed)
        yield started


def open_editor(page: Page) -> None:
    """Open the dialog, with its picture and what is drawn on it."""
    page.click("#edit-regions")
    expect(page.locator("#regions-picture")).to_have_js_property("naturalWidth", 320)
    expect(page.locator("#regions-drawing rect")).to_have_count(2)


def drag(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place of the picture to another, both as shares of its sides."""
    box = page.locator("#regions-drawing").bounding_box()
    assert box is not None
    (x, y), (to_x, to_y) = (
        (box["x"] + share * box["width"], box["y"] + other * box["height"])
        for share, other in (begin, end)
    )
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + to_x) / 2, (y + to_y) / 2)
    page.mouse.move(to_x, to_y)
    page.mouse.up()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_regions_are_drawn_removed_and_saved(
    browser: Browser, station: PageStation, size: str, scheme: str
) -> None:
    page = unlocked(opened(browser, station, size, scheme))
    open_editor(page)
    rows = page.locator("#regions-list li")
    expect(rows).to_have_text(["60 × 40 px at x 10, y 200Remove"])
    drag(page, (0.9, 0.1), (0.5, 0.3))
    expect(rows).to_have_count(2)
    expect(page.locator("#regions-count")).to_have_text("2 rectangles left out:")
    page.locator("#regions-drawing").click(position={"x": 20, "y": 20})
    expect(rows).to_have_count(2)
    # Beyond the picture's edge.
    drag(page, (0.8, 0.5), (1.2, 0.7))
    expect(rows).to_have_count(3)
    rows.first.get_by_role("button").click()
    expect(rows).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    assert page.evaluate(CONTRASTS.replace("main *, header *", "dialog[open] *")) == []
    page.click("#regions-save")
    expect(page.locator("#notice")).to_contain_text("Before: 60x40 px at x=10 y=200.")
    expect(page.locator("#regions-dialog")).to_be_hidden()
    action, camera, rectangles, who = station.control.requests[-1]
    assert (action, camera, who) == ("regions", "top", "page: R. Weiss")
    assert isinstance(rectangles, tuple)
    for found, drawn in zip(rectangles, ((160, 25, 128, 52), (256, 128, 64, 52)), strict=True):
        assert all(abs(one - other) <= 2 for one, other in zip(found, drawn, strict=True))
        assert found[0] + found[2] <= 320
    page.context.close()


def test_a_finger_draws_too(browser: Browser, station: PageStation) -> None:
    page = unlocked(opened(browser, station, "phone"))
    open_editor(page)
    session = page.context.new_cdp_session(page)
    page.locator("#regions-drawing").scroll_into_view_if_needed()
    box = page.locator("#regions-drawing").bounding_box()
    assert box is not None
    corner = {"x": box["x"] + 20, "y": box["y"] + 20}
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [corner]})
    for step in range(1, 6):
        at = {"x": corner["x"] + 20 * step, "y": corner["y"] + 20 * step}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#regions-list li")).to_have_count(2)
    page.context.close()


def test_a_refusal_is_shown_where_regions_are_drawn(browser: Browser, station: PageStation) -> None:
    page = unlocked(opened(browser, station))
    open_editor(page)
    drag(page, (0.0, 0.0), (1.1, 1.1))
    page.click("#regions-save")
    expect(page.locator("#regions-problem")).to_contain_text("leave out smaller regions")
    expect(page.locator("#regions-dialog")).to_be_visible()
    page.locator("#regions-list button").last.click()
    page.click("#regions-save")
    expect(page.locator("#regions-dialog")).to_be_hidden()
    page.context.close()


def test_without_the_token_nothing_is_drawn(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station)
    page.click("#edit-regions")
    expect(page.locator("#token-dialog")).to_be_visible()
    expect(page.locator("#regions-dialog")).to_be_hidden()
    page.context.close()
