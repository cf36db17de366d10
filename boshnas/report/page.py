"""A report as one HTML file: style, script, plotly and drawing are in it, and nothing is fetched."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from boshnas.report.facts import Facts
from boshnas.report.plots import Panel, template
from boshnas.report.rows import best_rows, failure_rows, plain, summary, top_rows
from boshnas.saved_run import PICTURE_FILE
from boshnas.trial import Status
from boshnas.version import VERSION

MAX_DRAWING_BYTES = 1_000_000
_ASSETS = files("boshnas.report") / "assets"
# Says to the browser what is promised to the reader: whatever a text of the run holds, nothing is fetched.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_FIGURES: Mapping[str, tuple[str, Sequence[str]]] = {
    "progress": ("How the search went", ("best_by_evaluations", "best_by_hours")),
    "found": ("What it found", ("size", "tasks")),
    "space": ("What it chose from", ("map", "choices")),
    "surrogate": ("What the surrogate believed", ("predicted", "calibration")),
    "time": ("Time and failures", ("stages", "failures")),
}
_SECTIONS = {"best": "Best architecture"} | {name: title for name, (title, _) in _FIGURES.items()}
_SECTIONS |= {"settings": "Settings and versions"}


def page(known: Facts, drawn: Mapping[str, Panel], folder: Path) -> str:
    """The whole file.

    Args:
        known: Of the run.
        drawn: Its figures, by name.
        folder: Of the run: the drawing of its best architecture is taken in where it is there.
    """
    title = escape(f"Search {known.name}")
    sections = {"best": _section("best", _best(known, folder))}
    for name, (_, panels) in _FIGURES.items():
        # What a table never has, such as stages, needs no card.
        shown = [drawn[panel] for panel in panels if drawn[panel].figure is not None or not known.is_of_table]
        if shown:
            body = f'<div class="pair">{"".join(map(_panel, shown))}</div>'
            sections[name] = _section(name, body + (_failures(known) if name == "time" else ""))
    sections["settings"] = _section("settings", _settings(known))
    links = "".join(f'<li><a href="#{name}">{_SECTIONS[name]}</a></li>' for name in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}</title>
<style>{_asset("style.css")}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>
<h1>{title}</h1>
<button id="theme" type="button" aria-pressed="false" hidden>Dark look</button>
<p>{escape(summary(known))}{_unfinished(known)}</p>
</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main id="main" tabindex="-1">
<noscript><p>The figures need JavaScript; all else is here without it.</p></noscript>
{"".join(sections.values())}
</main>
<footer>Written {datetime.now():%Y-%m-%d %H:%M} by flexibert-boshnas {VERSION}.</footer>
<script>{get_plotlyjs()}</script>
<script type="application/json" id="figures">{_data(drawn)}</script>
<script>{_asset("script.js")}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _data(drawn: Mapping[str, Panel]) -> str:
    """Figures and both looks as JSON that may stand in a script: no character of it ends or opens a tag."""
    figures = {name: panel.figure.to_dict() for name, panel in drawn.items() if panel.figure is not None}
    for figure in figures.values():
        figure["layout"].pop("template")
    looks = {name: template(dark=name == "dark").to_plotly_json() for name in ("light", "dark")}
    text = str(to_json_plotly({"figures": figures, "templates": looks}))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _section(name: str, body: str) -> str:
    heading = f'<h2 id="{name}-heading">{_SECTIONS[name]}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-heading">{heading}{body}</section>\n'


def _panel(panel: Panel) -> str:
    title, finding = escape(panel.title), escape(panel.finding)
    if panel.figure is None:
        return f'<div class="panel"><h3>{title}</h3><p>{finding}</p></div>\n'
    return (
        f'<figure class="panel" id="{panel.name}"><h3>{title}</h3><p>{finding}</p>'
        f'<div class="plot" role="img" aria-label="{title}: {finding}" data-figure="{panel.name}" '
        f'style="min-height:{panel.figure.layout.height}px"></div>'
        f"<figcaption>{escape(panel.caption)}</figcaption></figure>\n"
    )


def _best(known: Facts, folder: Path) -> str:
    best, (header, rows) = known.best, top_rows(known)
    top = _table("The best ten, then the baselines", header, rows, is_wide=True) if rows else ""
    if best is None:
        return f"<p>No evaluation of a candidate has finished yet.</p>{top}"
    picture = _drawing(folder, best.row.id)
    about = _table("Scores, size and lineage", ("what", "value"), best_rows(known), is_wide=False)
    export = f"<h3>Make a model of it</h3><pre><code>{escape(best.export)}</code></pre>" if best.export else ""
    choices = "" if known.is_of_table else _details("Its choices", ("choice", "value"), best.parameters)
    text = f"<div>{about}{export}{choices}</div>"
    return f'<div class="pair">{picture}{text}</div>{top}'


def _drawing(folder: Path, id_: str) -> str:
    """The architecture's drawing as an image, in which no script runs and nothing is fetched; else nothing."""
    try:
        content = (folder / PICTURE_FILE).read_bytes()
    except OSError:
        return ""
    if not content or len(content) > MAX_DRAWING_BYTES:
        return ""
    encoded = base64.b64encode(content).decode()
    alternative = escape(f"Layers of architecture {id_}, from the input on; its choices are listed beside it.")
    image = f'<img class="drawing" alt="{alternative}" src="data:image/svg+xml;base64,{encoded}">'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Drawing of the best architecture">{image}</div>'


def _failures(known: Facts) -> str:
    if not known.failures:
        return ""
    header = ("cause", "for good", "tried again", "first message")
    return _table("Failures by cause", header, failure_rows(known), is_wide=False)


def _settings(known: Facts) -> str:
    return _details("Settings", ("setting", "value"), known.settings) + _details(
        "Versions", ("package", "version"), known.versions
    )


def _details(title: str, header: Sequence[str], values: Mapping[str, object]) -> str:
    if not values:
        return f"<p>{title}: not kept by this run.</p>"
    rows = [(name, plain(value)) for name, value in values.items()]
    return f"<details><summary>{title}</summary>{_table(title, header, rows, is_wide=False)}</details>"


def _unfinished(known: Facts) -> str:
    num_running = known.counts.get(Status.RUNNING.value, 0)
    return f" {num_running} had not ended when this was written." if num_running else ""


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, is_wide: bool) -> str:
    """A table whose rows are headed by their first cell; a wide one scrolls by itself."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    kind = ' class="wide"' if is_wide else ""
    return (
        f'<div class="scroll" role="region" aria-label="{escape(title)}" tabindex="0"><table{kind}>'
        f"<caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )
