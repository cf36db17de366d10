"""What a report says of a run, in numbers and words: the one source of every format."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, stdev

from pydantic import JsonValue

from boshnas.job import CHECKPOINT_FOLDER, job_folder
from boshnas.ranking import results_of
from boshnas.report.gpus import gpus_each
from boshnas.saved_run import Run
from boshnas.trial import Decision, Status, Trial

NUM_TOP = 10
_NO_SETTINGS = ("options", "versions", "score_name", "seed", "random_search")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One finished evaluation.

    Attributes:
        number: Of the trial.
        id: Of the architecture.
        name: Of a baseline, where it is known; else None.
        score: The objective.
        params: Weights; None: not known.
        level: Of the hierarchy; 0 for a baseline.
        decision: Why it was evaluated.
        parent: Whose weights it started from.
        seconds: Of all stages.
        task_scores: By task.
    """

    number: int
    id: str
    name: str | None
    score: float
    params: int | None
    level: int
    decision: str
    parent: str | None
    seconds: float
    task_scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best architecture.

    Attributes:
        row: Its best evaluation.
        seed: Of that training.
        num_measurements: Finished evaluations of the same architecture.
        mean: Of their scores.
        std: Of their scores; None where there is one only.
        lineage: From the first ancestor to the parent: whose weights were handed on.
        parameters: The architecture as names and values.
        export: Command that makes a model of it; None where the run keeps none.
    """

    row: Row
    seed: int
    num_measurements: int
    mean: float
    std: float | None
    lineage: Sequence[Row]
    parameters: Mapping[str, str | int | float]
    export: str | None


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Failures of one cause.

    Attributes:
        cause: The status.
        num_final: Evaluations that ended so.
        num_retried: Attempts that ended so and were followed by another.
        example: First line of the first of their errors.
    """

    cause: str
    num_final: int
    num_retried: int
    example: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a run.

    Attributes:
        name: Of its folder.
        folder: Its path.
        score_name: What the objective is called.
        best: None where no candidate has finished.
        top: The best finished evaluations, baselines left out.
        baselines: Finished ones.
        counts: Evaluations by status, only those that occur.
        began: When the first evaluation began, ISO 8601, local time of the search's machine.
        ended: When the last one ended; None while none has.
        hours: Between the two, pauses included.
        stage_hours: Of all evaluations together, by stage.
        evaluation_hours: Their sum.
        gpus_each: GPUs of an evaluation; None: the settings name none.
        gpu_hours: Evaluation hours times those GPUs.
        failures: By cause, the most frequent first.
        seed: Of the search.
        settings: As they were given, and what else makes the run this run.
        versions: Of the packages it was begun with.
        is_of_table: Rows of a table were looked up, and nothing was trained.
    """

    name: str
    folder: str
    score_name: str
    best: Best | None
    top: Sequence[Row]
    baselines: Sequence[Row]
    counts: Mapping[str, int]
    began: str | None
    ended: str | None
    hours: float | None
    stage_hours: Mapping[str, float]
    evaluation_hours: float
    gpus_each: float | None
    gpu_hours: float | None
    failures: Sequence[Failures]
    seed: JsonValue
    settings: Mapping[str, JsonValue]
    versions: Mapping[str, JsonValue]
    is_of_table: bool


def facts(run: Run) -> Facts:
    """Gather what there is to say of a run."""
    names = baseline_names(run)
    ranked = results_of(run.trials, run.objective)
    candidates = [trial for trial in ranked if trial.proposal.decision is not Decision.BASELINE]
    baselines = [trial for trial in ranked if trial.proposal.decision is Decision.BASELINE]
    stage_hours = _stage_hours(run.trials)
    evaluation_hours = sum(stage_hours.values())
    gpus = gpus_each(_mapping(run.identity.get("options")))
    began, ended = _span(run)
    return Facts(
        name=run.name,
        folder=str(run.folder),
        score_name=run.score_name,
        best=None if run.best is None else _best(run, run.best),
        top=[_row(trial, names) for trial in candidates[:NUM_TOP]],
        baselines=[_row(trial, names) for trial in baselines],
        counts=_counts(run.trials),
        began=None if began is None else began.isoformat(sep=" ", timespec="seconds"),
        ended=None if ended is None else ended.isoformat(sep=" ", timespec="seconds"),
        hours=None if began is None or ended is None else (ended - began).total_seconds() / 3600,
        stage_hours=stage_hours,
        evaluation_hours=evaluation_hours,
        gpus_each=gpus,
        gpu_hours=None if gpus is None else gpus * evaluation_hours,
        failures=failures_of(run.trials),
        seed=run.identity.get("seed"),
        settings=_settings(run.identity),
        versions=_mapping(run.identity.get("versions")),
        is_of_table=run.is_of_table,
    )


def baseline_names(run: Run) -> dict[str, str]:
    """Names of the baselines by id: they are evaluated in the order in which they were given."""
    given = run.identity.get("baselines")
    ids = dict.fromkeys(trial.id for trial in run.trials if trial.proposal.decision is Decision.BASELINE)
    return dict(zip(ids, map(str, given), strict=False)) if isinstance(given, list) else {}


def failures_of(trials: Sequence[Trial]) -> list[Failures]:
    """Failed evaluations and failed attempts by cause, the most frequent first."""
    final: Counter[str] = Counter()
    retried: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for trial in trials:
        for attempt in trial.attempts:
            retried[attempt.status.value] += 1
            examples.setdefault(attempt.status.value, _first_line(attempt.error))
        if trial.failed:
            final[trial.status.value] += 1
            examples.setdefault(trial.status.value, _first_line(trial.error))
    return [
        Failures(cause=cause, num_final=final[cause], num_retried=retried[cause], example=examples[cause])
        for cause, _ in (final + retried).most_common()
    ]


def _row(trial: Trial, names: Mapping[str, str]) -> Row:
    is_baseline = trial.proposal.decision is Decision.BASELINE
    return Row(
        number=trial.number,
        id=trial.id,
        name=names.get(trial.id) if is_baseline else None,
        score=trial.score or 0.0,
        params=trial.params,
        level=trial.level,
        decision=trial.proposal.decision.value,
        parent=trial.parent_id,
        seconds=sum(trial.stage_seconds.values()),
        task_scores=dict(trial.task_scores),
    )


def _best(run: Run, best: Trial) -> Best:
    scores = [trial.score for trial in run.trials if trial.id == best.id and trial.score is not None]
    return Best(
        row=_row(best, {}),
        seed=best.seed,
        num_measurements=len(scores),
        mean=fmean(scores),
        std=stdev(scores) if len(scores) > 1 else None,
        lineage=[_row(trial, baseline_names(run)) for trial in lineage(run.trials, best)],
        parameters=dict(best.parameters),
        export=_export_command(run, best),
    )


def _export_command(run: Run, best: Trial) -> str | None:
    if run.is_of_table or not (job_folder(run.folder, best.number) / CHECKPOINT_FOLDER).is_dir():
        return None
    return f"boshnas export {shlex.quote(str(run.folder))} --to my-model"


def lineage(trials: Sequence[Trial], child: Trial) -> list[Trial]:
    """Whose weights were handed on to a trial: from the first ancestor to its parent.

    An architecture that was measured more than once handed on the weights of its latest evaluation before the child.
    """
    chain: list[Trial] = []
    while child.parent_id is not None:
        older = [
            trial
            for trial in trials
            if trial.id == child.parent_id and trial.number < child.number and trial.score is not None
        ]
        if not older:
            break
        child = older[-1]
        chain.append(child)
    return chain[::-1]


def _counts(trials: Sequence[Trial]) -> dict[str, int]:
    counted = Counter(trial.status for trial in trials)
    return {status.value: counted[status] for status in Status if counted[status]}


def _stage_hours(trials: Sequence[Trial]) -> dict[str, float]:
    seconds: Counter[str] = Counter()
    for trial in trials:
        for stage, value in trial.stage_seconds.items():
            seconds[stage] += value  # type: ignore[assignment]  # a Counter adds up floats as well
    return {stage: value / 3600 for stage, value in seconds.items()}


def _span(run: Run) -> tuple[datetime | None, datetime | None]:
    """When the first evaluation began and the last one ended."""
    running = {trial.number for trial in run.trials if trial.status is Status.RUNNING}
    ends = [end for number, (_, end) in run.times.items() if end is not None and number not in running]
    return min((begin for begin, _ in run.times.values()), default=None), max(ends, default=None)


def _settings(identity: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The options as given, then what else belongs to the run and is not among them."""
    options = _mapping(identity.get("options"))
    rest = {name: value for name, value in identity.items() if name not in _NO_SETTINGS and name not in options}
    return options | rest


def _mapping(value: JsonValue) -> dict[str, JsonValue]:
    """A setting that is a mapping; nothing where an older run does not have it."""
    return value if isinstance(value, dict) else {}


def _first_line(text: str | None) -> str:
    return next(iter((text or "").strip().splitlines()), "no reason given")
