"""Wires a search over a design space: checks its settings, prepares the run's folder, runs the loop."""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from boshnas.campaign_settings import (
    SEARCHERS,
    CampaignSettings,
    check_numbers,
    evaluator_words,
    load_space,
    with_absolute_paths,
)
from boshnas.drawing import DrawingView
from boshnas.errors import InputError
from boshnas.executors.base import JOB_WORD
from boshnas.executors.config import load_executor_config
from boshnas.executors.leftover import PROCESS_FILE, end_leftover
from boshnas.executors.local_settings import LocalSettings
from boshnas.executors.make import make_executor
from boshnas.folders import keep_folders
from boshnas.interruption import Interruption
from boshnas.job import JOBS_FOLDER
from boshnas.job_memory import job_memory
from boshnas.loop import Loop
from boshnas.plan import Plan, View, split_budget
from boshnas.ranking import best_trial
from boshnas.run_folder import make_folder
from boshnas.shares import own_gpus, sharing, usual_parallel
from boshnas.space_source import SpaceSource
from boshnas.store import Database, Store, keep_place, new_place, place
from boshnas.training import Training, check_training
from boshnas.trial import Trial
from boshnas.version import versions
from boshnas.writable import check_run_folder
from design_space.architecture import Architecture
from design_space.constraint import Constraint
from design_space.counts import num_parameters
from design_space.model.presets import preset
from design_space.space import DesignSpace
from finetune.data import DEMO

OWN_WORKER = (sys.executable, "-m", "boshnas.worker", JOB_WORD)
MAX_INITIAL = 10

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Checked settings, ready to run; nothing has been written yet.

    Attributes:
        settings: As given.
        space: Loaded, within the constraints.
        training: What the project's own worker trains and scores on; None where another evaluator measures.
        command: Of a worker, `{job}` among its words.
        baselines: Architectures by name.
        level_budgets: Evaluations for each level.
        num_initial: Random proposals at the start.
        executor: Settings of what runs the evaluations.
        gpus: Identifiers of the GPUs of this machine to use.
        num_parallel: Evaluations at a time; None: as many as the cluster takes.
        source: Candidates of the space.
        warnings: What a person should know before it starts.
    """

    settings: CampaignSettings
    space: DesignSpace
    training: Training | None
    command: Sequence[str]
    baselines: Mapping[str, Architecture]
    level_budgets: Sequence[int]
    num_initial: int
    executor: BaseModel
    gpus: Sequence[str]
    num_parallel: int | None
    source: SpaceSource
    warnings: Sequence[str]

    @property
    def score_name(self) -> str:
        """What the objective is called."""
        return "score" if self.training is None else self.training.score_name

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change between the parts of one run: else its scores could not be compared."""
        settings = self.settings
        return {
            "space": settings.space,
            "space_content": self.space.content.model_dump(mode="json", by_alias=True, exclude={"constraints"}),
            "seed": settings.seed,
            **({"evaluator": list(self.command)} if self.training is None else self.training.identity),
            "constraints": list(map(str, self.space.constraints)),
            "baselines": list(self.baselines),
        }


def check(settings: CampaignSettings) -> Campaign:
    """Check everything that can be known before any work.

    Raises:
        InputError: In one line, for the first thing that is wrong.
    """
    check_numbers(settings)
    space = load_space(settings.space)
    settings = with_absolute_paths(settings)
    space = space.within([Constraint.parse(text) for text in settings.constraints])
    training = None if settings.evaluator is not None else check_training(settings)
    command = OWN_WORKER if settings.evaluator is None else evaluator_words(settings)
    baselines = _baselines(settings)
    config = settings.executor_config
    executor = load_executor_config(settings.executor, None if config is None else Path(config))
    gpus = own_gpus(executor)
    num_parallel = settings.parallel or usual_parallel(executor, len(gpus))
    budgets = split_budget(settings.budget, len(space.levels))
    initial = settings.initial if settings.initial is not None else min(MAX_INITIAL, max(1, settings.budget // 3))
    return Campaign(
        settings=settings,
        space=space,
        training=training,
        command=command,
        baselines={name: preset(name) for name in baselines},
        level_budgets=budgets,
        num_initial=initial,
        executor=executor,
        gpus=gpus,
        num_parallel=num_parallel,
        source=SpaceSource(space, settings.seed, None if training is None else job_memory(training.worker)),
        warnings=[
            *(sharing(num_parallel or 1, len(gpus)) if isinstance(executor, LocalSettings) else []),
            *_all_random(settings),
        ],
    )


def _all_random(settings: CampaignSettings) -> list[str]:
    """A random start that leaves nothing to propose."""
    initial, budget = settings.initial or 0, settings.budget
    if initial < budget or settings.surrogate == "random":
        return []
    return [f"--initial {initial} takes the whole budget ({budget}): all evaluations are random."]


def _baselines(settings: CampaignSettings) -> list[str]:
    """Names of the baselines: BERT-Mini on real data, none on the demo or for another evaluator, where not given."""
    text = settings.baselines
    if text is None:
        return [] if settings.data == DEMO or settings.evaluator is not None else ["bert_mini"]
    return [name.strip() for name in text.split(",") if name.strip() and name.strip() != "none"]


def open_store(
    campaign: Campaign,
    folder: Path,
    resume: bool,
    database: Database | None = None,
    on_wait: Callable[[str], None] = _logger.warning,
) -> Store:
    """Create the run's store, or open it to go on.

    Args:
        campaign: Checked settings.
        folder: Of the run.
        resume: Go on with what is there.
        database: Where the store is to lie; None: in the folder.
        on_wait: Told that the store is waited for.

    Raises:
        InputError: If the folder exists and `resume` is not given, or is of another run; or the database is another or
            cannot be used.
    """
    check_run_folder(folder, resume)
    if not resume:
        make_folder(folder)
        identity = campaign.identity | {
            "options": asdict(campaign.settings),
            "versions": versions(),
        }
        if campaign.training is not None:
            keep_folders(folder, campaign.training.data_folder)
        location = new_place(folder, database)
        choices = campaign.space.parameter_choices()
        store = Store.create(location, identity, choices, score_name=campaign.score_name, on_wait=on_wait)
        keep_place(folder, location)
        return store
    store = Store.open(place(folder, database), on_wait=on_wait)
    for name, value in campaign.identity.items():
        if store.identity.get(name) != value:
            where, kept, given = _first_difference(name, store.identity.get(name), value)
            store.close()
            raise InputError(
                f"--resume: {folder} was begun with {where} {kept!r:.100}, got {given!r:.100}. "
                "Give the same options, or another --out."
            )
    return store


def _first_difference(name: str, kept: Any, given: Any) -> tuple[str, Any, Any]:
    """The first value in which two nested settings differ, with its path."""
    if isinstance(kept, dict) and isinstance(given, dict):
        key = next(key for key in [*given, *kept] if kept.get(key) != given.get(key))
        return _first_difference(f"{name}.{key}", kept.get(key), given.get(key))
    return name, kept, given


def run(
    campaign: Campaign, store: Store, folder: Path, view: View, interruption: Interruption | None = None
) -> str | None:
    """Run a search to the end of its budget.

    Args:
        campaign: Checked settings.
        store: Of the run, open.
        folder: Of the run, held by this process: see `boshnas.run_folder.held_folder`.
        view: Is told what happens.
        interruption: Asks it to stop.

    Returns:
        Why it stopped early, or None.

    Raises:
        InputError: If the machine or cluster cannot run the evaluations.
    """
    settings = campaign.settings
    start = time.monotonic()
    for path in folder.glob(f"{JOBS_FOLDER}/*/{PROCESS_FILE}"):
        end_leftover(path.parent)
    with make_executor(
        campaign.executor, campaign.command, folder, num_parallel=campaign.num_parallel, gpus=campaign.gpus
    ) as executor:
        if campaign.training is not None:
            campaign.training.prepare(folder)
        source = campaign.source
        source.add(campaign.baselines.values())
        _restore(store.trials(), source)
        is_synchronous = settings.synchronous or executor.num_slots == 1
        make_searcher = SEARCHERS[settings.surrogate]
        searcher = make_searcher(
            source.pool,
            seed=settings.seed,
            num_initial=campaign.num_initial,
            neighbors=source.neighbors,
            fits_in_background=not is_synchronous,
        )
        plan = Plan(
            level_budgets=campaign.level_budgets,
            baselines=[architecture.id for architecture in campaign.baselines.values()],
            seed=settings.seed,
            settings={} if campaign.training is None else campaign.training.worker.model_dump(mode="json"),
            synchronous=is_synchronous,
            deadline=None if settings.max_hours is None else start + 3600 * settings.max_hours,
            max_failures=settings.max_failures,
            straggler_factor=settings.straggler_factor or float("inf"),
            min_free_bytes=int(settings.min_free_gb * 1e9),
            max_checkpoint_bytes=None if settings.max_checkpoint_gb is None else int(settings.max_checkpoint_gb * 1e9),
            num_kept=settings.keep_best,
        )
        drawing = DrawingView(view, folder, best_trial(store.trials()))
        return Loop(plan, store, searcher, source, executor, folder, drawing, interruption=interruption).run()


def _restore(trials: Sequence[Trial], source: SpaceSource) -> None:
    """Open the levels again, each as it was: around the best of all that was evaluated before it."""
    for level in range(max((trial.level for trial in trials), default=0) + 1):
        if level > 0:
            source.open_level(level, {t.id: t.score for t in trials if t.level < level and t.score is not None})
        source.add(Architecture.from_model_dict(trial.architecture) for trial in trials if trial.level == level)


def params_of(trial: Trial) -> int:
    """Parameters of a trial's encoder, heads not counted."""
    return num_parameters(Architecture.from_model_dict(trial.architecture))
