"""The facts as rows of text, for the tables of page and Markdown alike."""

import json

from boshnas.report.facts import Facts, Row
from boshnas.report.words import duration, parameters
from boshnas.wording import number

_TOP_HEADER = ("number", "architecture", "level", "why", "parameters", "parent", "time")
_NOT_OF_TABLES = ("level", "parent", "time")


def summary(known: Facts) -> str:
    """The run in a sentence or two."""
    counts = ", ".join(f"{count:,} {status}" for status, count in known.counts.items())
    parts = [f"{sum(known.counts.values()):,} evaluations" + (f" ({counts})" if counts else "")]
    if known.hours is not None:
        parts.append(f"{duration(3600 * known.hours)} from {known.began} to {known.ended}")
    if known.gpu_hours is not None:
        parts.append(f"{known.gpu_hours:.3g} GPU-hours")
    elif known.evaluation_hours:
        parts.append(f"{duration(3600 * known.evaluation_hours)} of evaluation in all")
    seed = "" if known.seed is None else f" Seed {plain(known.seed)}."
    return f"{'; '.join(parts)}.{seed}"


def best_rows(known: Facts) -> list[tuple[str, str]]:
    """What is known of the best architecture, by name; nothing where there is none."""
    if known.best is None:
        return []
    best, row = known.best, known.best.row
    level = "" if known.is_of_table else f"level {row.level}, "
    rows = [("architecture", row.id), (known.score_name, number(row.score))]
    if best.std is not None:
        rows.append(
            (f"{known.score_name}, all {best.num_measurements}", f"{number(best.mean)} ± {number(best.std)} (std)")
        )
    rows += [(task, number(score)) for task, score in row.task_scores.items()]
    rows += [
        ("parameters", parameters(row.params)),
        ("evaluation", f"#{row.number}, {level}{row.decision}, seed {best.seed}"),
    ]
    if known.is_of_table:
        rows += [(name, plain(value)) for name, value in best.parameters.items()]
    else:
        ancestors = " → ".join(f"{one.id} (#{one.number}, {number(one.score)})" for one in best.lineage)
        rows.append(("weights from", ancestors or "none"))
    return rows


def top_rows(known: Facts) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The best ten, then the baselines: names of the columns, and the rows."""
    header = (*_TOP_HEADER, known.score_name)
    hidden = [_TOP_HEADER.index(name) for name in _NOT_OF_TABLES] if known.is_of_table else []
    shown = [place for place in range(len(header)) if place not in hidden]
    rows = [_cells(row) for row in (*known.top, *known.baselines)]
    return tuple(header[place] for place in shown), [tuple(cells[place] for place in shown) for cells in rows]


def failure_rows(known: Facts) -> list[tuple[str, ...]]:
    """Cause, failed for good, tried again, first message."""
    return [(one.cause, str(one.num_final), str(one.num_retried), one.example) for one in known.failures]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"#{row.number}",
        row.id if row.name is None else f"{row.name} ({row.id})",
        str(row.level) if row.level else "–",
        row.decision,
        parameters(row.params),
        row.parent or "–",
        duration(row.seconds) if row.seconds else "–",
        number(row.score),
    )


def plain(value: object) -> str:
    """A setting as a person would write it."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
