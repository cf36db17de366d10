"""Whether two settings differ, task by task and metric by metric over their seeds.

Two settings that share at least two seeds are compared on these in pairs, others with Welch's test (see
`finetune.outcomes.significance`). Differences are B − A. They, their intervals and the means are in points: metrics
times 100, as the score is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from design_space.errors import InputError
from finetune.outcomes.differences import Differing, differing, lines_of, require_same_rows
from finetune.outcomes.repeats import SCORE, SettingOutcome, common_setting, points
from finetune.outcomes.significance import Outcome, holm, paired, welch

SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Difference(Outcome):
    """The test of one task and metric.

    Attributes:
        task: Its name.
        metric: Its name, or "score".
        num_a: Runs of A that were used: those of the shared seeds, or all.
        num_b: Runs of B that were used.
        mean_a: Over these, in points.
        mean_b: Over these, in points.
        p_holm: p adjusted for all differences that were looked at; None where there is one.
    """

    task: str
    metric: str
    num_a: int
    num_b: int
    mean_a: float
    mean_b: float
    p_holm: float | None = None

    @property
    def is_significant(self) -> bool:
        """Whether p, adjusted where there are several, is below 5 %."""
        return (self.p if self.p_holm is None else self.p_holm) < SIGNIFICANCE

    @property
    def sentence(self) -> str:
        """Plain words, such as "B is better than A by 1.20 points [0.31, 2.09], p = 0.021 (paired, 5 seeds)"."""
        turned = self.is_significant and self.difference < 0
        size = f"{-self.difference if turned else self.difference:z.2f} points"
        if self.low is not None and self.high is not None:
            low, high = (-self.high, -self.low) if turned else (self.low, self.high)
            size += f" [{low:z.2f}, {high:z.2f}]"
        better, worse = ("A", "B") if turned else ("B", "A")
        significant = f"{better} is better than {worse} by"
        claim = significant if self.is_significant else "A and B do not differ significantly: B - A is"
        adjusted = "" if self.p_holm is None else f", by Holm {self.p_holm:.2g}"
        runs = f"{self.num_a} seeds" if self.test.startswith("paired") else f"{self.num_a} and {self.num_b} runs"
        return f"{claim} {size}, p = {self.p:.2g}{adjusted} ({self.test}, {runs})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All differences of two settings.

    Attributes:
        model_a: Checkpoint of A.
        model_b: Checkpoint of B.
        data: Of both.
        differences: One a task and metric.
        left_out: What only one of them has: tasks, and metrics as "task metric".
        seeds_left_out: By task, under "a" and "b", the seeds of one side alone where the shared ones are pairs.
        settings_differ: See `finetune.outcomes.differences`; None where a file does not hold its setting.
    """

    model_a: str
    model_b: str
    data: str
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]
    seeds_left_out: dict[str, dict[str, list[int]]]
    settings_differ: Differing | None

    def to_json(self) -> dict[str, Any]:
        """The fields, with each difference's sentence, ready for `json.dumps`; means and differences are in `unit`."""
        differences = [asdict(one) | {"sentence": one.sentence} for one in self.differences]
        return asdict(self) | {"unit": "points", "differences": differences}

    def text(self, file_a: Path, file_b: Path) -> str:
        """What is compared, a table with a line a difference, then a sentence for each, and what was left out.

        Args:
            file_a: Where the runs of A came from.
            file_b: Where those of B did.
        """
        heads = ["task", "metric", "A", "B", "B - A", "95 % interval", "effect", "p", "Holm p", "test"]
        rows = [heads, *map(_cells, self.differences)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        tasks = list(dict.fromkeys(one.task for one in self.differences))
        lines = [
            f"A: {file_a} (model {self.model_a})",
            f"B: {file_b} (model {self.model_b})",
            *lines_of(self.settings_differ, tasks),
            f"Data: {self.data}. Means and differences are in points.",
        ]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        lines += [f"{one.task} {one.metric}: {one.sentence}." for one in self.differences]
        if self.left_out:
            lines.append(f"Only A or only B has: {', '.join(self.left_out)}.")
        lines += _seed_lines(self.seeds_left_out)
        return "\n".join(lines) + "\n"


def compare(a: Sequence[SettingOutcome], b: Sequence[SettingOutcome]) -> Comparison:
    """Compare two settings on every task and metric that both have.

    The score is left out where it repeats a task's one metric, or is a mean of different metrics.

    Args:
        a: Of setting A, one outcome a task.
        b: Of setting B.

    Raises:
        InputError: If the data or the numbers of scored rows differ, no task is shared, or a shared task has fewer than
            two runs on a side.
    """
    (model_a, data), (model_b, _) = common_setting(a), common_setting(b)
    pairs = _pairs(a, b)
    tasks = [task.task for task, _ in pairs]
    left_out = [outcome.task for outcome in (*a, *b) if outcome.task not in tasks]
    differences: list[Difference] = []
    for of_a, of_b in pairs:
        names, others = _metrics(of_a, of_b)
        differences += [_difference(of_a, of_b, name) for name in names]
        left_out += [f"{of_a.task} {name}" for name in others]
    return Comparison(
        model_a=model_a,
        model_b=model_b,
        data=data,
        differences=tuple(_adjusted(differences)),
        left_out=tuple(left_out),
        seeds_left_out={of_a.task: seeds for of_a, of_b in pairs if (seeds := _seeds_left_out(of_a, of_b))},
        settings_differ=differing(pairs),
    )


def _pairs(a: Sequence[SettingOutcome], b: Sequence[SettingOutcome]) -> list[tuple[SettingOutcome, SettingOutcome]]:
    """The outcomes of each task that both have."""
    data_a, data_b = a[0].data, b[0].data
    if data_a != data_b:
        raise InputError(
            f"compare: A and B must be of the same data, got {data_a!r} and {data_b!r}. Run both on one of them."
        )
    tasks_a, tasks_b = ({outcome.task: outcome for outcome in outcomes} for outcomes in (a, b))
    pairs = [(outcome, tasks_b[task]) for task, outcome in tasks_a.items() if task in tasks_b]
    if not pairs:
        raise InputError(
            f"compare: A and B must share a task, got {', '.join(tasks_a)} and {', '.join(tasks_b)}. "
            "Run both on one of them."
        )
    for of_a, of_b in pairs:
        require_same_rows(of_a, of_b)
    return pairs


def _adjusted(differences: list[Difference]) -> list[Difference]:
    if len(differences) == 1:
        return differences
    adjusted = holm([one.p for one in differences])
    return [replace(one, p_holm=p) for one, p in zip(differences, adjusted, strict=True)]


def _metrics(a: SettingOutcome, b: SettingOutcome) -> tuple[list[str], list[str]]:
    """What both have, and what one of them has."""
    names_a, names_b = a.names[1:], b.names[1:]
    shared = [name for name in names_a if name in names_b]
    others = [name for name in (*names_a, *names_b) if name not in shared]
    if not shared:
        raise InputError(
            f"compare: A and B must share a metric of {a.task}, got {', '.join(names_a)} and {', '.join(names_b)}. "
            "Score both alike."
        )
    return ([SCORE, *shared] if len(shared) > 1 and not others else shared), others


def _difference(a: SettingOutcome, b: SettingOutcome, name: str) -> Difference:
    for side, outcome in (("A", a), ("B", b)):
        if len(outcome.runs) < 2:
            raise InputError(
                f"compare: {side} must have at least 2 runs of {outcome.task}, got 1. Run it with more seeds."
            )
    by_seed_a, by_seed_b = ({run.seed: points(name, run.value(name)) for run in side.runs} for side in (a, b))
    seeds = _paired_seeds(a, b)
    values_a = np.array([by_seed_a[seed] for seed in seeds or by_seed_a])
    values_b = np.array([by_seed_b[seed] for seed in seeds or by_seed_b])
    test = paired if seeds else welch
    return Difference(
        task=a.task,
        metric=name,
        num_a=len(values_a),
        num_b=len(values_b),
        mean_a=float(values_a.mean()),
        mean_b=float(values_b.mean()),
        **asdict(test(values_a, values_b)),
    )


def _paired_seeds(a: SettingOutcome, b: SettingOutcome) -> list[int]:
    """The shared seeds, none where they are fewer than two."""
    shared = [seed for seed in a.seeds if seed in b.seeds]
    return shared if len(shared) >= 2 else []


def _seeds_left_out(a: SettingOutcome, b: SettingOutcome) -> dict[str, list[int]]:
    """Seeds of A and of B without a partner; empty where there are none, or there are no pairs."""
    shared = _paired_seeds(a, b)
    alone = {key: [seed for seed in side.seeds if seed not in shared] for key, side in (("a", a), ("b", b))}
    return alone if shared and any(alone.values()) else {}


def _seed_lines(left_out: Mapping[str, Mapping[str, Sequence[int]]]) -> list[str]:
    """A line for the tasks with the same seeds left out, such as "Left out of mrpc: seeds 3, 4 of A."."""
    tasks: dict[str, list[str]] = {}
    for task, sides in left_out.items():
        named = [
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))} of {key.upper()}"
            for key, seeds in sides.items()
            if seeds
        ]
        tasks.setdefault(" and ".join(named), []).append(task)
    return [f"Left out of {', '.join(among)}: {seeds}." for seeds, among in tasks.items()]


def _cells(one: Difference) -> list[str]:
    interval = "-" if one.low is None or one.high is None else f"[{one.low:z.2f}, {one.high:z.2f}]"
    effect = "-" if one.effect is None else f"{'d_z' if one.test == 'paired' else 'd'} {one.effect:z.2f}"
    adjusted = "-" if one.p_holm is None else f"{one.p_holm:.2g}"
    means = [f"{value:z.2f}" for value in (one.mean_a, one.mean_b, one.difference)]
    return [one.task, one.metric, *means, interval, effect, f"{one.p:.2g}", adjusted, one.test]
