"""A report as JSON for machines and as Markdown for people."""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from boshnas.report.facts import Facts
from boshnas.report.plots import Panel
from boshnas.report.rows import best_rows, failure_rows, plain, summary, top_rows

_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")


def as_json(known: Facts, drawn: Mapping[str, Panel]) -> str:
    """All facts, and the finding of each figure, as one JSON object."""
    findings = {name: panel.finding for name, panel in drawn.items()}
    return json.dumps(asdict(known) | {"findings": findings}, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def as_markdown(known: Facts, drawn: Mapping[str, Panel]) -> str:
    """The facts as Markdown; figures are told by their findings."""
    lines = [f"# Search {_escaped(known.name)}", "", _escaped(summary(known)), ""]
    if known.best is not None:
        lines += ["## Best architecture", "", *_table(("what", "value"), best_rows(known))]
        lines += ["```sh", known.best.export, "```", ""] if known.best.export else []
        lines += ["## Best ten", "", *_table(*top_rows(known))]
    lines += ["## Findings", ""]
    lines += [f"- **{_escaped(panel.title)}.** {_escaped(panel.finding)}" for panel in drawn.values()]
    lines.append("")
    if known.failures:
        lines += [
            "## Failures",
            "",
            *_table(("cause", "for good", "tried again", "first message"), failure_rows(known)),
        ]
    lines += ["## Settings", "", *_table(("setting", "value"), _plain_items(known.settings))]
    lines += ["## Versions", "", *_table(("package", "version"), _plain_items(known.versions))]
    return "\n".join(lines)


def _plain_items(values: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, plain(value)) for name, value in values.items()]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [list(map(_escaped, header)), ["---"] * len(header)]
    lines += [[_escaped(cell) for cell in row] for row in rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _escaped(text: str) -> str:
    """A text that Markdown shows as it is, in one line."""
    return html.escape(_SPECIAL.sub(r"\\\1", " ".join(text.split())), quote=False)
