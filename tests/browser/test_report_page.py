"""The report of a run, as a person sees it: with a mouse, with a keyboard, on a telephone, in the dark."""

from collections.abc import Callable
from typing import Any

import pytest
import run_fakes

from boshnas.report import write_report
from boshnas.saved_run import Run

pytestmark = pytest.mark.browser

NUM_FIGURES = 10
NASTY = "<img src=x onerror=document.title='taken'>"
DRAWN = "html[data-drawn]"  # the page says when all its figures are drawn
SIZES = {"narrow": 360, "wide": 1440}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    run_fakes.write(folder, num_trials=60, tasks=("cola", "mrpc", NASTY))
    write_report(Run.open(folder), folder / "report.html")
    return (folder / "report.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_figure_is_drawn_and_nothing_is_wider_than_the_page(
    address: str,
    size: str,
    scheme: str,
    open_page: Callable[..., Any],
    complaints: list[str],
    keep_picture: Callable[[Any, str], None],
):
    page = open_page(address, SIZES[size], scheme)
    page.wait_for_selector(DRAWN)
    drawn = page.evaluate(
        "[...document.querySelectorAll('[data-figure]')].map(one => one.querySelectorAll('.main-svg').length)"
    )
    assert len(drawn) == NUM_FIGURES
    assert all(drawn)
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]
    beyond = page.evaluate(
        "[...document.querySelectorAll('[data-figure]')].filter(one =>"
        " one.querySelector('.main-svg').getBoundingClientRect().right > one.getBoundingClientRect().right + 1).length"
    )
    assert beyond == 0
    assert page.title() != "taken"
    keep_picture(page, f"report-{size}-{scheme}")
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_names_and_order_are_as_the_guidelines_for_accessibility_ask(
    address: str, scheme: str, open_page: Callable[..., Any]
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(address, scheme=scheme)
    page.wait_for_selector(DRAWN)
    found = axe.run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_the_look_is_changed_with_the_keyboard_alone(address: str, open_page: Callable[..., Any]):
    page = open_page(address)
    page.wait_for_selector(DRAWN)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "theme":
            break
    else:
        pytest.fail("no number of tabs leads to the button")
    page.keyboard.press("Enter")
    page.wait_for_selector(DRAWN)
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_the_first_key_leads_past_the_head_of_the_page(address: str, open_page: Callable[..., Any]):
    page = open_page(address)
    page.keyboard.press("Tab")
    target = page.evaluate("document.activeElement.getAttribute('href')")
    assert target.startswith("#")
    assert page.query_selector(target) is not None


def test_sections_and_details_are_reached_by_their_links(address: str, open_page: Callable[..., Any]):
    page = open_page(address)
    page.wait_for_selector(DRAWN)
    links = page.query_selector_all("nav a")
    assert len(links) >= 6
    for link in links:
        link.click()
        assert page.query_selector(link.get_attribute("href")) is not None
    for details in page.query_selector_all("details"):
        details.query_selector("summary").click()
        assert details.get_attribute("open") is not None
