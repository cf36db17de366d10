"""Debian's Chromium without a window, driven by Playwright; pictures of the pages are kept for people to look at."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

INSTALL = Path(__file__).with_name("install.sh")
PICTURES = Path(os.environ.get("BOSHNAS_PICTURES", "pictures"))
WIDTHS = {"narrow": 360, "wide": 1440}

Open = Callable[..., Any]


def _missing(what: str) -> None:
    message = f"{what}: run {INSTALL} and pip install -e '.[browser]'"
    if os.environ.get("BOSHNAS_REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    path = shutil.which("chromium")
    if path is None:
        _missing("Chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("Playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said was wrong, of every page of the test."""
    return []


@pytest.fixture
def open_page(chromium: Any, complaints: list[str]) -> Iterator[Open]:
    """A function of an address, a width in pixels and a colour scheme: the page, loaded, its console listened to."""
    contexts = []

    def open_page(address: str, width: int = WIDTHS["wide"], scheme: str = "light") -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"{request.url} failed"))
        page.goto(address, wait_until="networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def keep_picture() -> Callable[[Any, str], None]:
    """A function that keeps a picture of a whole page under a name."""

    def keep(page: Any, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    return keep
