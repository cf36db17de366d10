import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_runs import IDENTITY, failed, made_trials, run_of, trial

from boshnas.report import Format
from boshnas.report.write import report_text
from boshnas.saved_run import Run

VOID = {"meta", "img", "br", "hr", "input", "link"}
NASTY = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags with their attributes, the texts of scripts, and a check that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(run: Run) -> Page:
    return Page(report_text(run, Format.HTML))


@pytest.fixture(scope="module")
def whole() -> Page:
    return page_of(run_of(made_trials(60)))


def test_the_page_is_well_formed_and_says_what_it_is(whole: Page):
    assert whole.all("html") == [{"lang": "en"}]
    assert len(whole.all("h1")) == 1
    ids = [attributes["id"] for _, attributes in whole.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"]) for attributes in whole.all("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert whole.all("a")[0]["class"] == "skip"


def test_nothing_is_fetched(whole: Page):
    named = [
        attributes for _, attributes in whole.tags if {"src", "srcset", "data", "action", "poster"} & set(attributes)
    ]
    assert named == []
    assert whole.all("link") == []
    assert len(whole.all("script")) == 3
    (policy,) = [one["content"] for one in whole.all("meta") if "http-equiv" in one]
    assert "default-src 'none'" in str(policy)


def test_every_table_and_figure_can_be_heard(whole: Page):
    assert len(whole.all("table")) == len(whole.all("caption"))
    assert all(one["scope"] in ("row", "col") for one in whole.all("th"))
    plots = [one for one in whole.all("div") if "data-figure" in one]
    assert len(plots) == len(whole.all("figcaption")) == 10
    assert all(one["role"] == "img" and len(str(one["aria-label"])) > 40 for one in plots)
    regions = [one for one in whole.all("div") if one.get("role") == "region"]
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in regions)


def test_the_figures_are_those_of_the_page(whole: Page):
    data = json.loads(whole.scripts[1])
    assert sorted(data["figures"]) == sorted(
        str(one["data-figure"]) for one in whole.all("div") if "data-figure" in one
    )
    assert set(data["templates"]) == {"light", "dark"}
    assert all("template" not in figure["layout"] for figure in data["figures"].values())


def test_texts_of_the_user_stay_texts():
    identity = IDENTITY | {
        "baselines": [NASTY],
        "options": {"data": f"</script>{NASTY}"},
        "versions": {NASTY: NASTY},
    }
    trials = [*made_trials(40, [NASTY, "</script><img src=x onerror=alert(1)>"]), failed(40, error=NASTY)]
    run = run_of(trials, Path(f"runs/{NASTY.replace('/', '')}"), identity, NASTY)
    text = report_text(run, Format.HTML)
    assert NASTY not in text
    page = Page(text)
    assert len(page.all("script")) == 3
    assert page.all("img") == []
    assert json.loads(page.scripts[1])["figures"]["tasks"]
    assert NASTY not in report_text(run, Format.MD)


def test_the_drawing_is_an_image_in_which_nothing_runs(tmp_path: Path):
    run = run_of(made_trials(20), tmp_path)
    assert page_of(run).all("img") == []
    (tmp_path / "architecture.svg").write_text(f"<svg>{NASTY}</svg>")
    (image,) = page_of(run).all("img")
    assert str(image["src"]).startswith("data:image/svg+xml;base64,")
    assert "architecture id" in str(image["alt"])


@pytest.mark.parametrize(
    "trials",
    [[], [trial(0)], [failed(number) for number in range(3)], [trial(0, 70.0)], [trial(n, 70.0) for n in range(12)]],
    ids=["none", "running", "failures", "one", "equal"],
)
@pytest.mark.parametrize("format", list(Format))
def test_poor_runs_have_a_report(trials: list, format: Format):
    text = report_text(run_of(trials, identity={}), format)
    if format is Format.HTML:
        assert len(Page(text).all("h2")) == 7
    if format is Format.JSON:
        assert (json.loads(text)["best"] is None) == (not any(one.score for one in trials))


def test_a_page_of_many_trials_is_small():
    assert len(report_text(run_of(made_trials(5000)), Format.HTML)) < 8_000_000


def test_markdown_has_the_facts():
    text = report_text(run_of(made_trials(60, ["a|b"])), Format.MD)
    assert "| a\\|b |" in text
    assert len(re.findall(r"^\| \\#", text, re.MULTILINE)) == 11
    assert "| torch | 2.6.0 |" in text
    assert "boom &lt;b&gt;bold&lt;/b&gt;" in text
    assert re.search(r"\*\*Calibration of the uncertainty\.\*\* The central 90 % interval held", text)


def test_json_has_the_facts():
    known = json.loads(report_text(run_of(made_trials(60)), Format.JSON))
    assert known["best"]["row"]["score"] == max(row["score"] for row in known["top"])
    assert known["seed"] == 7
    assert known["findings"]["failures"].startswith("3 of 60")


def test_csv_has_a_row_a_trial():
    lines = report_text(run_of(made_trials(60)), Format.CSV).splitlines()
    assert len(lines) == 61
    assert lines[0].startswith("number,id,status,")
