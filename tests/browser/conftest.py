"""A browser for the tests of this folder; where there is none, they are skipped."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from . import driver


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.long)
            if driver.chromium() is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Keep a picture of the page at which a test failed, when a fixture holds that page."""
    report = yield
    shown = getattr(item, "funcargs", {}).get("front") or getattr(item, "funcargs", {}).get("page")
    page = getattr(shown, "page", shown)
    if report.when == "call" and report.failed and isinstance(page, Page):
        path = Path(tempfile.gettempdir()).parent / f"{item.originalname}.png"
        page.screenshot(path=path)
        report.sections.append(("The page then", str(path)))
    return report


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, once for this folder; it ends there, because Playwright keeps an event loop that other tests would meet."""
    with sync_playwright() as playwright:
        opened = driver.launch(playwright)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with nothing remembered."""
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        yield context.new_page()
