"""The page in Chromium: what a person sees, and what a click does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chromium import CONTRASTS, SIZES, chromium, needs_chromium
from page_browser import opened, unlocked
from page_support import PageStation, page_station
from playwright.sync_api import Browser, expect

from semedge.web.history import EVENTS_A_PAGE

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStation]:
    with page_station(tmp_path_factory.mktemp("page")) as started:
        yield started


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


def test_the_verdict_on_the_picture_is_that_of_its_frame(
    browser: Browser, station: PageStation
) -> None:
    page = opened(browser, station)
    last = station.inspect(14.5)
    station.raise_event(last)
    expect(page.locator("#badge")).to_have_text("ALARM · score 14.5", timeout=2500)
    expect(page.locator("#frame-caption")).to_contain_text(f"Frame {last.frame.sequence} ")
    expect(page.locator("#badge")).to_have_attribute("data-verdict", "alarm")
    last = station.inspect(4.25)
    expect(page.locator("#badge")).to_have_text("GOOD · score 4.25", timeout=2500)
    expect(page.locator("#frame-caption")).to_contain_text(f"Frame {last.frame.sequence} ")
    page.context.close()


CHART_TIMES = """
async () => (await import('./station.js')).station.points.top.map((point) => point[0])
"""


def test_the_chart_never_runs_back(browser: Browser, tmp_path: Path) -> None:
    with page_station(tmp_path) as station:
        opened(browser, station).context.close()
        # Nobody looks meanwhile, so that no message is sent.
        begun_s = time.time() + 10
        for number in range(30):
            station.inspect(4.0, begun_s + number)
        page = opened(browser, station)
        expect(page.locator("#score")).to_have_text("4")
        page.wait_for_timeout(2500)
        times = page.evaluate(CHART_TIMES)
        assert times == sorted(times)
        assert len(times) == station.number, "and no point is there twice"
        station.inspect(5.0, begun_s - 5)
        expect(page.locator("#score")).to_have_text("5", timeout=2500)
        times = page.evaluate(CHART_TIMES)
        assert times == sorted(times), "nor when the station's clock is set back"
        assert times[-1] == pytest.approx(begun_s - 5, abs=0.01)
        page.context.close()


def test_the_level_of_the_score_is_explained(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station)
    expect(page.locator("#score-meaning")).to_contain_text("A frame above 9.8 alarms")
    setup = station.state.snapshot().cameras["top"].active_setup
    assert setup is not None
    station.state.change("top", active_setup=replace(setup, detector="pretrained-features"))
    expect(page.locator("#score-meaning")).to_contain_text(
        "A typical normal spot scores 0, and one normal spot in a thousand exceeds 100",
        timeout=2500,
    )
    expect(page.locator("#figures")).to_contain_text("learned, pretrained features")
    station.state.change("top", active_setup=setup)
    page.context.close()


def test_events_follow_the_picture_on_a_phone(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station, "phone")
    tops = page.evaluate(
        "() => ['.view', '.newest', '.score', '.hours'].map("
        "(each) => document.querySelector(each).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)
    page.context.close()


def test_an_event_shows_its_defect(browser: Browser, station: PageStation) -> None:
    station.raise_event(station.inspect(12.5))
    page = opened(browser, station)
    picture = page.locator("#events .thumb img").first
    expect(picture).to_have_js_property("naturalWidth", 400)
    page.context.close()


def test_the_shift_is_counted(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station)
    expect(page.locator("#hours-figures")).to_contain_text("Frames judged240")
    page.select_option("#hours-shown", "24")
    assert "alarms: " in (page.get_attribute("#hours-chart", "aria-label") or "")
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_the_history_is_filtered_and_turned(
    browser: Browser, tmp_path: Path, size: str, scheme: str
) -> None:
    with page_station(tmp_path) as station:
        for number in range(EVENTS_A_PAGE):
            station.raise_event(station.inspect(12.0 + number / 100))
        page = opened(browser, station, size, scheme)
        page.click('#tabs a[href="#history"]')
        expect(page.locator("#history li")).to_have_count(EVENTS_A_PAGE)
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        assert page.evaluate(CONTRASTS) == []
        page.click("#older")
        expect(page.locator("#history li")).to_have_count(3)
        expect(page.locator("#history-count")).to_have_text("Page 2")
        page.select_option("#filter-level", "warn")
        expect(page.locator("#history li")).to_have_count(1)
        expect(page.locator("#history-count")).to_have_text("Page 1")
        with page.expect_download() as download:
            page.click("#download")
        assert len(download.value.path().read_text("utf-8-sig").splitlines()) == 2
        page.context.close()


def test_the_frame_is_magnified(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station)
    page.click("#enlarge")
    expect(page.locator("#picture-dialog")).to_be_visible()
    expect(page.locator("#big")).to_have_js_property("naturalWidth", 320)
    width = page.evaluate("document.getElementById('big').offsetWidth")
    for _ in range(4):
        page.click("#zoom-in")
    larger = page.evaluate("document.getElementById('big').offsetWidth")
    assert larger > 3 * width
    box = page.locator("#zoom")
    assert box.evaluate("(each) => each.scrollWidth > each.clientWidth || each.scrollTop > 0")
    page.click("#zoom-fit")
    assert page.evaluate("document.getElementById('big').offsetWidth") == width
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


def test_an_alert_is_marked_and_unmarked(browser: Browser, station: PageStation) -> None:
    station.raise_event(station.inspect(12.0))
    page = opened(browser, station)
    card = page.locator("#events li").first
    assert card.get_by_text("False alarm").count() == 0, "not without a token"
    unlocked(page)
    card.get_by_role("button", name="False alarm").click()
    expect(card).to_contain_text("False alarm, says page: R. Weiss", timeout=3000)
    card.get_by_role("button", name="Real defect").click()
    expect(card).to_contain_text("Real defect, says page: R. Weiss", timeout=3000)
    card.get_by_role("button", name="Real defect").click()
    expect(card).not_to_contain_text("says page: R. Weiss", timeout=3000)
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_a_missed_defect_is_marked(
    browser: Browser, station: PageStation, size: str, scheme: str
) -> None:
    page = unlocked(opened(browser, station, size, scheme))
    station.inspect(4.0)
    page.click("#load-frames")
    frames = page.locator("#last-frames li")
    at_once = 24 if size == "phone" else 48
    expect(frames).to_have_count(at_once)
    page.click("#frames-more")
    expect(frames).to_have_count(2 * at_once)
    expect(frames.first.locator("img")).to_have_js_property("naturalWidth", 240)
    frames.first.get_by_role("button", name="Missed defect").click()
    expect(page.locator("#notice")).to_contain_text("missed")
    expect(frames.first.get_by_role("button", name="Missed defect")).to_have_attribute(
        "aria-pressed", "true"
    )
    frames.first.locator(".tile").click()
    expect(page.locator("#big")).to_have_js_property("naturalWidth", 320)
    page.keyboard.press("Escape")
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    assert page.evaluate(CONTRASTS) == []
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
    expect(page.locator("#big")).to_have_js_property("naturalWidth", 640)
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
