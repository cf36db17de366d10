"""Runs of a setting as Markdown tables, in points: metrics are shown times 100, as the score is."""

from collections.abc import Sequence

from finetune.data import DEMO
from finetune.metrics import task_score
from finetune.outcomes.repeats import (
    SCORE,
    Overall,
    RunOutcome,
    SettingOutcome,
    common_setting,
    detail_text,
    overall,
    overall_without_wnli,
    points,
)
from finetune.tasks import GLUE


def seeds_table(outcome: SettingOutcome) -> str:
    """One task: a row for the score and one a metric, with mean ± standard deviation and the value of each seed.

    The best run is marked, and its interval and its metrics on test rows follow where it has them. One run has no
    deviation, and nothing is marked. Below stand further figures that are no part of the score.
    """
    several = outcome.std is not None
    heads = [
        f"seed {run.seed} (best)" if several and run.seed == outcome.best.seed else f"seed {run.seed}"
        for run in outcome.runs
    ]
    heads = [f"{outcome.model}, {outcome.task}", "mean ± sd" if several else "mean", *heads]
    rows = [
        [name, mean_and_std(outcome, name), *(f"{points(name, value):.2f}" for value in outcome.values(name))]
        for name in outcome.names
    ]
    if outcome.best.intervals:
        heads.append("95 % interval of the best run" if several else "95 % interval")
        rows = [[*row, _interval(outcome.best, row[0])] for row in rows]
    if outcome.test:
        heads.append("test (best run)")
        tested = {SCORE: task_score(outcome.test), **outcome.test}
        rows = [[*row, f"{points(row[0], tested[row[0]]):z.2f}" if row[0] in tested else ""] for row in rows]
    return markdown(heads, [*rows, *_details(outcome, len(heads))])


def _details(outcome: SettingOutcome, width: int) -> list[list[str]]:
    """A row a detail, with the values of the runs that have it, as wide as the table."""
    rows = []
    for name in dict.fromkeys(name for run in outcome.runs for name in run.details):
        values = [run.details.get(name) for run in outcome.runs]
        known = [value for value in values if value is not None]
        texts = ["" if value is None else detail_text(name, value) for value in values]
        row = [name, detail_text(name, sum(known) / len(known)), *texts]
        rows.append([*row, *[""] * (width - len(row))])
    return rows


def tasks_table(outcomes: Sequence[SettingOutcome]) -> str:
    """Several tasks: a row a task with mean ± standard deviation, then their mean with and without WNLI.

    The deviation of the mean over tasks is that over seeds, where all tasks have the same ones.

    Raises:
        InputError: If the outcomes do not belong to one setting.
    """
    model, data = common_setting(outcomes)
    rows = [
        [
            outcome.task,
            mean_and_std(outcome, SCORE),
            ", ".join(f"{name} {mean_and_std(outcome, name)}" for name in outcome.names[1:]),
            str(len(outcome.runs)),
        ]
        for outcome in outcomes
    ]
    name = _overall_name(outcomes, data)
    counted = f"{len(outcomes)} task{'s' if len(outcomes) > 1 else ''}"
    rows.append([f"{name} over {counted}", _overall(overall(outcomes)), "", ""])
    without = overall_without_wnli(outcomes)
    if without and any(outcome.task == "wnli" for outcome in outcomes):
        rows.append([f"{name} without WNLI", _overall(without), "", ""])
    spread = " ± sd" if any(outcome.std for outcome in outcomes) else ""
    return markdown([model, f"score{spread}", f"metrics{spread}", "runs"], rows)


def _overall_name(outcomes: Sequence[SettingOutcome], data: str) -> str:
    name = "GLUE score" if all(outcome.task in GLUE for outcome in outcomes) else "mean score"
    return f"demo {name} (synthetic data)" if data == DEMO else name


def mean_and_std(outcome: SettingOutcome, name: str) -> str:
    """The score or a metric over the runs, in points, with its deviation where there are several."""
    std = outcome.std
    return _with_std(points(name, outcome.mean[name]), None if std is None else points(name, std[name]))


def _interval(run: RunOutcome, name: str) -> str:
    if name not in run.intervals:
        return ""
    low, high = (points(name, end) for end in run.intervals[name])
    return f"[{low:z.2f}, {high:z.2f}]"


def _overall(score: Overall) -> str:
    return _with_std(score.mean, score.std)


def _with_std(mean: float, std: float | None) -> str:
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells cannot break it."""
    head, *body = ("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" for cells in (heads, *rows))
    return "".join([head, "|" + "---|" * len(heads) + "\n", *body])
