"""How long a search of a design space would take: calibrated here, simulated by the real loop."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, median
from typing import Any

import numpy as np

from boshnas.baselines import RandomSearcher
from boshnas.calibration import Speeds, measured_speeds, startup_seconds
from boshnas.campaign import Campaign
from boshnas.executors.asked_gpus import asked_gpus
from boshnas.executors.local_settings import LocalSettings
from boshnas.executors.ray.settings import RaySettings
from boshnas.executors.slurm import SlurmSettings
from boshnas.plan import Plan
from boshnas.pool import Pool
from boshnas.simulate.campaign import Machines, Outcome, new_clock, simulate
from boshnas.simulate.executor import Known
from boshnas.source import Candidate
from boshnas.store.tables import Times
from boshnas.training import Training
from boshnas.trial import Status, Trial
from boshnas.wording import counted
from design_space.architecture import Architecture
from design_space.counts import num_flops
from finetune.data import load_task
from finetune.tasks import Task
from pretrain.throughput import flops_per_token

NUM_DRAWS = 5
"""Campaigns that are simulated, each with candidates of its own."""
_NUM_SPARE = 32
_NUM_READ = 1_000
_TOKENS_A_WORD = 1.3
_NUM_SPECIAL = 3
_PADDED_TO = 95
_NOTE = (
    "A forecast, not a promise. Training times grow with FLOPs from {source}; each evaluation takes {setup_s:.0f} s "
    "more to start. Candidates are drawn at random; hours are the mean of {num} draws, with their range. Weights taken "
    "from trained neighbours would make it shorter; failures, and waiting in a cluster's queue, longer."
)
_PAST_NOTE = (
    "A forecast, not a promise. Each evaluation takes as long as one of {source}, drawn at random; hours are the mean "
    "of {num} draws, with their range. Failures, and waiting in a cluster's queue, make it longer."
)


@dataclass(frozen=True, kw_only=True)
class TaskSize:
    """What fine-tuning on a task goes through.

    Attributes:
        num_trained: Rows that are trained on, readings counted.
        num_scored: Rows of the validation.
        length: Tokens of a padded text, estimated by its words.
    """

    num_trained: int
    num_scored: int
    length: int


@dataclass(frozen=True)
class Work:
    """What evaluations of a campaign have to compute, in FLOPs.

    Attributes:
        campaign: Checked settings.
        training: What its workers train on.
        tasks: Sizes of its tasks.
    """

    campaign: Campaign
    training: Training
    tasks: Sequence[TaskSize]

    def pretrain(self, architecture: Architecture) -> float:
        """Of pre-training."""
        recipe = self.training.worker.pretrain
        num_sequences = (
            (recipe.max_steps or 0) * recipe.per_device_train_batch_size * recipe.gradient_accumulation_steps
        )
        per_token = flops_per_token(architecture, recipe.vocab_size, recipe.max_seq_length, recipe.mlm_probability)
        return num_sequences * recipe.max_seq_length * per_token

    def finetune(self, architecture: Architecture) -> float:
        """Of fine-tuning on all tasks, and scoring them."""
        return float(
            sum((3 * task.num_trained + task.num_scored) * num_flops(architecture, task.length) for task in self.tasks)
        )


def forecast(campaign: Campaign, training: Training, earlier: Sequence[Trial]) -> dict[str, Any]:
    """Hours of a campaign, or of what is left of one.

    Args:
        campaign: Checked settings.
        training: What its workers train on.
        earlier: Trials of the run that would be gone on with: the finished ones take the place of a calibration.

    Returns:
        `hours`, `hours_range`, `gpu_hours`, `evaluation_minutes {median, max}`, `calibrated_on` and a `note`; numbers
        of minutes are null where nothing is left to evaluate.
    """
    start = time.perf_counter()
    work = Work(campaign, training, [_task_size(training, task) for task in training.tasks])
    setup_s = time.perf_counter() - start + startup_seconds()  # a worker, too, reads the tasks
    speeds = past_speeds(work, earlier) or _calibrated(work)

    def seconds(one: Architecture) -> float:
        return setup_s + speeds.pretrain * work.pretrain(one) + speeds.finetune * work.finetune(one)

    draws = [_draw(campaign, seconds, earlier, seed) for seed in range(NUM_DRAWS)]
    note = _NOTE.format(source=speeds.source, setup_s=setup_s, num=NUM_DRAWS)
    return _summary(campaign, draws, speeds.source, note)


def forecast_by_past(campaign: Campaign, earlier: Sequence[Trial], times: Mapping[int, Times]) -> dict[str, Any] | None:
    """Hours of what is left of a campaign whose evaluator is unknown here: each takes as long as one of the finished.

    Args:
        campaign: Checked settings.
        earlier: Trials of the run that would be gone on with.
        times: When they began and ended, by number; what counts where an evaluator told no seconds of its stages.

    Returns:
        As `forecast`; None where no evaluation has finished.
    """
    finished = [trial for trial in earlier if trial.status is Status.FINISHED]
    known = [seconds for trial in finished if (seconds := _past_seconds(trial, times)) > 0]
    if not known:
        return None
    rng = np.random.default_rng(campaign.settings.seed)
    draws = [_draw(campaign, lambda _: float(rng.choice(known)), earlier, seed) for seed in range(NUM_DRAWS)]
    source = _of_the_run(len(known))
    return _summary(campaign, draws, source, _PAST_NOTE.format(source=source, num=NUM_DRAWS))


def _past_seconds(trial: Trial, times: Mapping[int, Times]) -> float:
    """What a finished evaluation took; 0 where nobody knows."""
    if trial.stage_seconds:
        return sum(trial.stage_seconds.values())
    began, ended = times.get(trial.number, (None, None))
    return 0.0 if began is None or ended is None else (ended - began).total_seconds()


def _of_the_run(number: int) -> str:
    return f"{counted(number, 'finished evaluation')} of the run"


def _summary(campaign: Campaign, draws: Sequence[Outcome], source: str, note: str) -> dict[str, Any]:
    accounts = [draw.account for draw in draws]
    minutes = [(span.end - span.start) / 60 for account in accounts for span in account.spans]
    hours = [account.hours if account.spans else 0.0 for account in accounts]
    return {
        "hours": _rounded(fmean(hours)),
        "hours_range": [_rounded(min(hours)), _rounded(max(hours))],
        "gpu_hours": _rounded(gpus_per_slot(campaign) * fmean(account.slot_hours for account in accounts)),
        "evaluation_minutes": {
            "median": _rounded(median(minutes)) if minutes else None,
            "max": _rounded(max(minutes)) if minutes else None,
        },
        "calibrated_on": source,
        "note": note,
    }


def num_slots(campaign: Campaign) -> int:
    """Evaluations at a time, one where a cluster decides."""
    return campaign.num_parallel or 1


def gpus_per_slot(campaign: Campaign) -> float:
    """GPUs that one evaluation takes: what a cluster is asked for, or its share of this machine's."""
    if isinstance(campaign.executor, LocalSettings):
        return min(1.0, len(campaign.gpus) / num_slots(campaign))
    return asked_gpus(campaign.executor)


def past_speeds(work: Work, trials: Sequence[Trial]) -> Speeds | None:
    """Medians over finished evaluations; None where none of them was pre-trained."""
    names = [task.name for task in work.training.tasks]
    pretraining, finetuning = [], []
    for trial in trials:
        if trial.status is Status.FINISHED and "pretrain" in trial.stage_seconds:
            architecture = Architecture.from_model_dict(trial.architecture)
            pretraining.append(trial.stage_seconds["pretrain"] / work.pretrain(architecture))
            seconds = sum(trial.stage_seconds.get(name, 0.0) for name in names)
            finetuning.append(seconds / work.finetune(architecture))
    if not pretraining:
        return None
    return Speeds(pretrain=median(pretraining), finetune=median(finetuning), source=_of_the_run(len(pretraining)))


def _calibrated(work: Work) -> Speeds:
    """Time a candidate here, as a worker would run that shares the machine with the others."""
    campaign = work.campaign
    (architecture,) = campaign.space.sample(1, 1, np.random.default_rng(campaign.settings.seed))
    num_cores = os.cpu_count() or 1
    length = round(fmean(task.length for task in work.tasks))
    speeds = measured_speeds(architecture, work.training.worker, length, _num_threads(campaign, num_cores))
    # Jobs of a cluster share nothing: each is placed where what it asks for is free.
    is_local = isinstance(campaign.executor, LocalSettings)
    num_sharing = max(1.0, num_slots(campaign) / (len(campaign.gpus) or num_cores)) if is_local else 1.0
    return Speeds(
        pretrain=num_sharing * speeds.pretrain,
        finetune=num_sharing * speeds.finetune,
        source=f"this machine ({speeds.source})",
    )


def _num_threads(campaign: Campaign, num_cores: int) -> int:
    """Threads that an evaluation computes with, as far as this machine has them."""
    executor = campaign.executor
    if isinstance(executor, SlurmSettings):
        num_threads = executor.cpus_per_task or 1
    elif isinstance(executor, RaySettings):
        num_threads = int(executor.num_cpus)
    else:
        num_threads = num_cores // num_slots(campaign)
    return max(1, min(num_threads, num_cores))


class _Drawn:
    """Random members of each level as the loop's candidates."""

    def __init__(self, campaign: Campaign, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.architectures = {one.id: one for one in campaign.baselines.values()}
        self._levels: dict[int, list[str]] = {}
        for level, num_before in zip(campaign.space.levels, accumulate(campaign.level_budgets), strict=True):
            # Some may be members of coarser levels, and evaluated there.
            drawn = campaign.space.sample(level, num_before + _NUM_SPARE, rng)
            self.architectures |= {one.id: one for one in drawn}
            self._levels[level] = [one.id for one in drawn]

    def open_level(self, level: int, scores: Mapping[str, float]) -> Sequence[str]:
        return self._levels[level]

    def describe(self, id_: str) -> Candidate:
        return Candidate(architecture={}, parameters={})

    def parent(self, id_: str, trained: Sequence[str]) -> tuple[str, float] | None:
        return None


def _draw(campaign: Campaign, seconds: Callable[[Architecture], float], earlier: Sequence[Trial], seed: int) -> Outcome:
    """Simulate the rest of the campaign on other candidates, each of which takes its seconds."""
    source = _Drawn(campaign, seed)
    source.architectures |= {trial.id: Architecture.from_model_dict(trial.architecture) for trial in earlier}
    known = {id_: Known(seconds=seconds(one), score=0.0) for id_, one in source.architectures.items()}
    settings = campaign.settings
    plan = Plan(
        level_budgets=campaign.level_budgets,
        baselines=[one.id for one in campaign.baselines.values()],
        seed=seed,
        settings={},
        synchronous=settings.synchronous or num_slots(campaign) == 1,
        deadline=None if settings.max_hours is None else 3600 * settings.max_hours,
        max_failures=settings.max_failures,
    )
    searcher = RandomSearcher(Pool(list(known), np.zeros((len(known), 1))), seed=seed)
    return simulate(
        plan, source, searcher, known, Machines(num_slots=num_slots(campaign)), new_clock(plan, known), earlier
    )


def _task_size(training: Training, task: Task) -> TaskSize:
    settings = training.worker.finetune
    data = load_task(task, training.worker.data)
    num_words = [sum(len(str(row[name]).split()) for name in task.text_fields) for row in data.train[:_NUM_READ]]
    tokens = _TOKENS_A_WORD * float(np.percentile(num_words, _PADDED_TO)) + _NUM_SPECIAL
    num_trained = settings.max_steps * settings.per_device_train_batch_size
    return TaskSize(
        num_trained=num_trained if num_trained > 0 else round(settings.num_train_epochs * len(data.train)),
        num_scored=len(data.validation),
        length=min(settings.max_seq_length, round(tokens)),
    )


def _rounded(value: float) -> float:
    """Three digits: more would be believed."""
    return float(f"{value:.3g}")
