"""Draws the figures of these pages: `python docs/figures.py [RUN]`.

From the results of the benchmarks; with a run's folder also README's picture of its report, for which it needs
Chromium and `pip install -e '.[browser]'`.
"""

import re
import shutil
import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent
ABLATION = DOCS.parent / "benchmarks" / "results" / "ablation.md"
FIGURE = DOCS / "assets" / "ablation.svg"
PICTURE = DOCS / "assets" / "report.png"
WIDTH = 1280  # of the picture, in pixels

_LEFT, _WIDTH, _HEIGHT, _ROW, _TOP = 230, 420, 40, 30, 40
_STYLE = "font: 15px sans-serif; fill: #808080"  # grey is read on white and on black


class Row(NamedTuple):
    """A search, and its regret under each heading: mean and standard error."""

    name: str
    values: list[tuple[float, float]]


def tables(text: str) -> list[list[Row]]:
    """The tables of a result whose cells are `mean ± error`."""
    found: list[list[Row]] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        values = [(float(mean), float(error)) for mean, error in re.findall(r"([\d.]+) ± ([\d.]+)", line)]
        if line.startswith("| search"):
            found.append([])
        elif values:
            found[-1].append(Row(cells[0], values))
    return found


def dots(rows: list[Row], column: int, title: str) -> str:
    """An SVG with a dot a row, its standard error as a line; the dashed line is the first row's mean."""
    high = max(sum(row.values[column]) for row in rows) * 1.05
    end = _TOP + _ROW * len(rows)
    base = _LEFT + _WIDTH * rows[0].values[column][0] / high
    parts = [
        f'<text x="{_LEFT}" y="20" style="{_STYLE}">{escape(title)}</text>',
        f'<path d="M{base:.1f} {_TOP}V{end}" stroke="#808080" stroke-dasharray="4 4"/>',
        f'<path d="M{_LEFT} {end}h{_WIDTH}" stroke="#808080"/>',
    ]
    for number, row in enumerate(rows):
        mean, error = row.values[column]
        y, x, width = _TOP + _ROW * (number + 0.5), _LEFT + _WIDTH * mean / high, _WIDTH * error / high
        parts += [
            f'<text x="{_LEFT - 12}" y="{y + 5}" text-anchor="end" style="{_STYLE}">{escape(row.name)}</text>',
            f'<path d="M{x - width:.1f} {y}h{2 * width:.1f}" stroke="#5c7cfa" stroke-width="3"/>',
            f'<circle cx="{x:.1f}" cy="{y}" r="6" fill="#5c7cfa"/>',
        ]
    for tick in range(int(high / 0.05) + 1):
        x = _LEFT + _WIDTH * tick * 0.05 / high
        parts.append(f'<text x="{x:.1f}" y="{end + 22}" text-anchor="middle" style="{_STYLE}">{tick * 0.05:.2f}</text>')
    size = f"0 0 {_LEFT + _WIDTH + 20} {end + _HEIGHT}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}">\n' + "\n".join(parts) + "\n</svg>\n"


def ablation() -> str:
    """Regret without parts of the search, or with others in their place."""
    return dots(tables(ABLATION.read_text("utf-8"))[0], 2, "mean regret over all evaluations ± standard error")


def report(run: Path) -> bytes:
    """The top of a run's report as a PNG: the best architecture and how the search went, without the best ten."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto((run / "report.html").resolve().as_uri())
        page.wait_for_selector("html[data-drawn]")
        page.add_style_tag(content="#best > .scroll { display: none }")
        box = page.locator("#progress").bounding_box()
        assert box is not None
        height = box["y"] + box["height"]
        picture: bytes = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        browser.close()
    return picture


if __name__ == "__main__":
    FIGURE.write_text(ablation())
    for folder in sys.argv[1:]:
        PICTURE.write_bytes(report(Path(folder)))
