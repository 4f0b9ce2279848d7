"""The page in Chromium: what a person sees, and what a click does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CONTRASTS, chromium, needs_chromium
from page_support import TOKEN, PageStation, page_station
from playwright.sync_api import Browser, Page, expect

SIZES = {"desk": (1440, 1000), "phone": (390, 844)}

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    with page_station(tmp_path_factory.mktemp("page")) as started:
        yield started


def opened(
    browser: Browser, station: PageStation, size: str = "desk", scheme: str = "light"
) -> Page:
    """The page, once it shows a frame; whatever it complains of fails the test."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.set_default_timeout(8000)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    complaints: list[str] = []
    page.goto(station.address, wait_until="domcontentloaded")
    page.wait_for_selector("#live:not([hidden])")
    assert [url for url in complaints if "/api/stream" not in url] == []
    return page


def unlocked(page: Page) -> Page:
    page.click("#unlock")
    page.fill("#who", "R. Weiss")
    page.fill("#token", TOKEN)
    page.click("#token-form button[type=submit]")
    expect(page.locator("#unlock")).to_have_text("Lock (R. Weiss)")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_everything_is_there_and_can_be_read(
    browser: Browser, station: PageStation, size: str, scheme: str
) -> None:
    page = opened(browser, station, size, scheme)
    expect(page.locator("#verdict")).to_have_text("GOOD")
    assert page.locator("#events li").count() >= 3
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    assert page.evaluate(CONTRASTS) == [], "text stands out from its ground (WCAG AA)"
    ink = page.evaluate(
        "() => { const canvas = document.getElementById('chart');"
        " const {width, height} = canvas;"
        " const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;"
        " let count = 0; for (let at = 3; at < data.length; at += 4) count += data[at] > 0;"
        " return count; }"
    )
    assert ink > 1000, "the chart shows the scores"
    smallest = page.evaluate(
        "() => Math.min(...[...document.querySelectorAll('button')]"
        ".filter((each) => each.checkVisibility()).map((each) => each.offsetHeight))"
    )
    assert smallest >= 32, "a finger meets every button"
    page.context.close()


def test_an_alarm_is_seen_within_two_seconds(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station)
    station.raise_event(station.inspect(14.5))
    expect(page.locator("body")).to_have_attribute("data-verdict", "alarm", timeout=2500)
    expect(page.locator("#score")).to_have_text("14.5")
    expect(page.locator("#events li").first).to_contain_text("ALARM", timeout=2500)
    station.inspect(4.0)
    expect(page.locator("#verdict")).to_have_text("GOOD", timeout=2500)
    page.context.close()


def test_a_camera_that_is_out_is_never_good(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station)
    station.state.change("top", activity="not inspecting", reason="The picture is frozen.")
    expect(page.locator("#verdict")).to_have_text("NOT INSPECTING", timeout=2500)
    expect(page.locator("#problem")).to_contain_text("The picture is frozen.")
    station.state.change("top", activity="inspecting", reason="")
    expect(page.locator("#problem")).to_be_hidden(timeout=2500)
    page.context.close()


def test_changes_need_the_token(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station)
    assert page.is_disabled("#alarm")
    assert page.locator(".ack").count() == 0
    page.click("#unlock")
    page.fill("#who", "R. Weiss")
    page.fill("#token", "wrong")
    page.click("#token-form button[type=submit]")
    expect(page.locator("#token-problem")).to_contain_text("token is wrong")
    assert page.is_disabled("#alarm")
    page.context.close()


def test_levels_recipe_and_acknowledgement(browser: Browser, station: PageStation) -> None:
    event = station.raise_event(station.inspect(12.0))
    page = unlocked(opened(browser, station))
    page.fill("#alarm", "13,5")
    page.fill("#warn", "")
    page.click("#levels button")
    expect(page.locator("#notice")).to_have_text(
        "Camera top has alarm level 13.5 and no warn level."
    )
    page.select_option("#recipe", "tile")
    page.click("#recipe-form button")
    expect(page.locator("#notice")).to_have_text("Camera top inspects by recipe tile.")
    page.select_option("#recipe", "broken")
    page.click("#recipe-form button")
    expect(page.locator("#notice")).to_contain_text("damaged")
    page.locator("#events li").first.get_by_text("Acknowledge").click()
    expect(page.locator("#events li").first).to_contain_text(
        "Acknowledged by page: R. Weiss", timeout=3000
    )
    who = "page: R. Weiss"
    assert station.control.requests[-3:] == [
        ("levels", "top", 13.5, None, who),
        ("recipe", "top", "tile", who),
        ("acknowledge", event.event_id, who),
    ]
    page.click("#unlock")
    assert page.is_disabled("#alarm")
    assert page.evaluate("sessionStorage.getItem('token')") is None
    page.context.close()


def test_text_of_an_event_is_no_code(browser: Browser, station: PageStation) -> None:
    station.raise_event(
        station.inspect(12.0),
        message="<img src=x onerror=\"document.title='broken in'\">",
        camera="<b>top</b>",
    )
    page = opened(browser, station)
    expect(page.locator("#events li").first).to_contain_text("<img src=x onerror=")
    assert page.title() != "broken in"
    assert page.locator("#events li p img").count() == 0
    page.context.close()


def test_a_picture_is_shown_large(browser: Browser, station: PageStation) -> None:
    station.raise_event(station.inspect(12.5))
    page = opened(browser, station)
    page.locator("#events .thumb").first.click()
    expect(page.locator("#picture-dialog")).to_be_visible()
    assert page.evaluate("document.getElementById('big').naturalWidth") == 640
    page.keyboard.press("Escape")
    expect(page.locator("#picture-dialog")).to_be_hidden()
    page.context.close()


def test_a_station_that_is_gone_is_reported_at_once(browser: Browser, tmp_path: Path) -> None:
    with page_station(tmp_path) as started:
        page = opened(browser, started)
    expect(page.locator("#verdict")).to_have_text("NO CONNECTION", timeout=9000)
    expect(page.locator("#problem")).to_contain_text("values below are old")
    page.context.close()


def test_a_page_that_only_viewers_may_read_asks_for_the_token(
    browser: Browser, tmp_path: Path
) -> None:
    with page_station(tmp_path, viewer="the viewer's word") as started:
        page = browser.new_context().new_page()
        page.set_default_timeout(8000)
        page.goto(started.address, wait_until="domcontentloaded")
        page.wait_for_selector("#token-dialog[open]")
        page.fill("#who", "R. Weiss")
        page.fill("#token", "the viewer's word")
        page.click("#token-form button[type=submit]")
        page.wait_for_selector("#live:not([hidden])")
