"""The tab Teach in Chromium: from the camera's frames to a recipe that is switched to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CONTRASTS, SIZES, chromium, needs_chromium, new_page
from page_support import TOKEN, PageStation, page_station
from playwright.sync_api import Browser, Page, expect
from teaching_support import PlayedCamera

from semedge.core.frame import Frame
from semedge.inference.overlay import encode_png
from semedge.station.recipe import read_recipe

FRAMES = 30
LEARNED_MS = 240_000

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def camera() -> PlayedCamera:
    return PlayedCamera()


@pytest.fixture(scope="module")
def station(
    tmp_path_factory: pytest.TempPathFactory, camera: PlayedCamera
) -> Iterator[PageStation]:
    folder = tmp_path_factory.mktemp("page")
    with (
        # A machine that runs other tests would leave the learning nothing.
        pytest.MonkeyPatch.context() as patch,
        page_station(folder, taught=camera) as started,
        camera.playing(0.02),
    ):
        patch.setattr("semedge.station.learning_process.NICENESS", 0)
        yield started


def opened(
    browser: Browser, station: PageStation, size: str = "desk", scheme: str = "light"
) -> Page:
    """The tab, for the engineer Ann."""
    page = new_page(browser, size, scheme)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{station.address}#teach", wait_until="domcontentloaded")
    page.click("#teach-unlock")
    page.fill("#who", "Ann")
    page.fill("#token", TOKEN)
    page.click("#token-form button[type=submit]")
    expect(page.locator("#unlock")).to_have_text("Lock (Ann)")
    expect(page.locator("#teach-locked")).to_be_hidden()
    return page


def sample_of(camera: PlayedCamera, folder: Path) -> Path:
    """A frame with a white bar across it."""
    frame = camera.newest_frame
    assert isinstance(frame, Frame)
    image = frame.image.copy()
    image[40:60, 10:110] = 255
    path = folder / "bar.png"
    path.write_bytes(encode_png(image))
    return path


def test_a_product_is_taught(
    browser: Browser, station: PageStation, camera: PlayedCamera, tmp_path: Path
) -> None:
    page = opened(browser, station)
    page.fill("#product", "film")
    page.fill("#wanted", str(FRAMES))
    page.click("#collect-form button")
    expect(page.locator("#notice")).to_contain_text("the inspection goes on")
    expect(page.locator("#collected-count")).to_contain_text(f"of {FRAMES} frames")
    expect(page.locator("#tiles li")).to_have_count(FRAMES, timeout=20_000)
    page.locator(".tile").nth(2).click()
    expect(page.locator("#frames-count")).to_have_text("29 to learn from, 1 thrown out")
    page.locator(".tile").nth(4).click()
    expect(page.locator("#frames-count")).to_have_text("28 to learn from, 2 thrown out")
    page.locator(".tile").nth(4).click()
    expect(page.locator("#frames-count")).to_have_text("29 to learn from, 1 thrown out")
    page.locator(".large").first.click()
    expect(page.locator("#big")).to_have_js_property("naturalWidth", 128)
    page.keyboard.press("Escape")

    page.click("#learn-form .primary")
    expect(page.locator("#teach-problem")).to_contain_text("and 1 % needs 299", timeout=LEARNED_MS)
    begun = station.number
    page.click("#learn-weaker")
    expect(page.locator("#learning-text")).to_contain_text("Learning for")
    station.inspect(4.0)
    expect(page.locator("#proof")).to_contain_text(
        "of normal frames raise an alarm", timeout=LEARNED_MS
    )
    assert station.number > begun, "the station inspects meanwhile"
    expect(page.locator("#proof")).to_contain_text("false alarms an hour")
    assert "normal frames by score" in (page.get_attribute("#histogram", "aria-label") or "")
    page.click("#sheet")
    expect(page.locator("#big")).to_have_js_property("naturalWidth", 1280)
    page.keyboard.press("Escape")

    page.set_input_files("#files", [sample_of(camera, tmp_path)])
    expect(page.locator("#samples-count")).to_contain_text("1 of 1 samples alarm", timeout=30_000)
    expect(page.locator("#samples li")).to_contain_text("bar.png")
    page.set_input_files(
        "#files", [{"name": "text.png", "mimeType": "image/png", "buffer": b"no picture"}]
    )
    expect(page.locator("#notice")).to_contain_text("text.png cannot be scored", timeout=30_000)

    page.click("#save")
    expect(page.locator("#notice")).to_have_text("The recipe film is saved.")
    recipe = station.folder / "recipes" / "film.recipe"
    assert read_recipe(recipe).manifest.name == "film"
    station.control.recipe_files.append(recipe)
    expect(page.locator("#save-switch")).to_have_text("Switch to it", timeout=3000)
    page.click("#save-switch")
    expect(page.locator("#notice")).to_have_text("Camera top inspects by recipe film.")
    assert station.control.requests[-1] == ("recipe", "top", "film", "page: Ann")
    expect(page.locator("#save-switch")).to_be_hidden(timeout=3000)
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_a_lesson_is_seen_whole(
    browser: Browser, station: PageStation, size: str, scheme: str
) -> None:
    page = opened(browser, station, size, scheme)
    expect(page.locator("#tiles li")).to_have_count(FRAMES)
    expect(page.locator("#proof")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    assert page.evaluate(CONTRASTS) == [], "text stands out from its ground (WCAG AA)"
    smallest = page.evaluate(
        "() => Math.min(...[...document.querySelectorAll('main button:not(.link)')]"
        ".filter((each) => each.checkVisibility()).map((each) => each.offsetHeight))"
    )
    assert smallest >= 32, "a finger meets every button"
    tops = page.evaluate(
        "() => ['.teach-view', '.teach-collect', '.teach-frames', '.teach-learn', '.teach-result']"
        ".map((each) => document.querySelector(each).getBoundingClientRect().top)"
    )
    assert size != "phone" or tops == sorted(tops), "the steps follow each other"
    page.context.close()


def test_somebody_else_sees_the_lesson_and_cannot_change_it(
    browser: Browser, station: PageStation
) -> None:
    page = opened(browser, station)
    page.click("#unlock")
    assert page.is_disabled("#learn-form .primary")
    assert page.is_disabled("#save")
    page.click("#unlock")
    page.fill("#who", "Bob")
    page.fill("#token", TOKEN)
    page.click("#token-form button[type=submit]")
    expect(page.locator("#collected-count")).to_contain_text("taught by Ann")
    assert page.is_disabled("#learn-form .primary")
    assert page.is_disabled(".tile >> nth=0")
    page.context.close()


def test_a_lesson_is_ended(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station, "phone")
    page.click("#discard")
    expect(page.locator("#collect-form")).to_be_visible()
    expect(page.locator("#teach-frames")).to_be_hidden()
    assert not (station.folder / "teaching").exists()
    assert (station.folder / "recipes" / "film.recipe").exists()
    page.context.close()


def test_a_lesson_on_a_phone_is_stopped(browser: Browser, station: PageStation) -> None:
    page = opened(browser, station, "phone", "dark")
    page.fill("#product", "tile")
    page.fill("#wanted", "3000")
    page.click("#collect-form button")
    expect(page.locator("#collect-stop")).to_be_visible()
    until_s = time.monotonic() + 20
    while page.locator("#tiles li").count() < 3:
        assert time.monotonic() < until_s
        page.wait_for_timeout(200)
    page.click("#collect-stop")
    expect(page.locator("#more-form")).to_be_visible()
    page.click("#discard")
    expect(page.locator("#collect-form")).to_be_visible()
    page.context.close()
