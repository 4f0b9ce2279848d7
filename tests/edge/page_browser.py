"""The page of a station in a browser, opened and unlocked."""

from __future__ import annotations

from chromium import new_page
from page_support import TOKEN, PageStation
from playwright.sync_api import Browser, Page, expect


def opened(
    browser: Browser, station: PageStation, size: str = "desk", scheme: str = "light"
) -> Page:
    """The page, once it shows a frame; whatever it complains of fails the test."""
    page = new_page(browser, size, scheme)
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
