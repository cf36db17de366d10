"""Wires a search over a design space: checks its settings, prepares the run's folder, runs the loop."""

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from boshnas.baselines import RandomSearcher
from boshnas.errors import InputError, did_you_mean
from boshnas.executors import LocalExecutor, run_lock, visible_gpus
from boshnas.job_memory import job_memory
from boshnas.loop import Loop
from boshnas.plan import Plan, View, split_budget
from boshnas.searcher import Searcher
from boshnas.space_source import SpaceSource
from boshnas.store import Database, Store, check_database, keep_place, new_place, place
from boshnas.surrogates import GPSurrogate
from boshnas.trial import Trial
from boshnas.worker.settings import MAX_POSITIONS, FinetuneSettings, Settings
from boshnas.writable import check_run_folder
from design_space.architecture import Architecture
from design_space.constraint import Constraint
from design_space.counts import num_parameters
from design_space.model.presets import preset
from design_space.space import DesignSpace
from design_space.space_file import preset_names
from finetune.data import DEMO, HUB, available_tasks, load_task
from finetune.tasks import GLUE, Task, parse_tasks
from pretrain.config import Recipe, Source, load_recipe, recipe_names
from pretrain.corpus import pack
from pretrain.mixture import Mixture
from pretrain.progress import counted
from pretrain.tokenizer import load_tokenizer, train_tokenizer

DEMO_TASKS = "cola,sst2,mrpc,stsb"
DEMO_FINETUNE = FinetuneSettings(
    max_steps=36, per_device_train_batch_size=16, learning_rate=8e-4, warmup_steps=8, max_seq_length=64
)
MAX_INITIAL = 10
MAX_PARALLEL = 4

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CampaignSettings:
    """What a person asks for; see `python -m boshnas.run --help`."""

    space: str
    data: str = DEMO
    corpus: str | None = None
    tasks: str | None = None
    recipe: str | None = None
    pretrain_steps: int | None = None
    finetune_steps: int | None = None
    budget: int = 12
    initial: int | None = None
    max_hours: float | None = None
    parallel: int | None = None
    synchronous: bool = False
    seed: int = 0
    surrogate: str = "boshnas"
    constraints: tuple[str, ...] = ()
    baselines: str | None = None
    max_failures: int = 10


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Checked settings, ready to run; nothing has been written yet.

    Attributes:
        settings: As given.
        space: Loaded, within the constraints.
        tasks: To score.
        absent_tasks: Tasks of GLUE that the data does not have.
        baselines: Architectures by name.
        worker: What every worker is told.
        level_budgets: Evaluations for each level.
        num_initial: Random proposals at the start.
        gpus: Identifiers of the GPUs to use.
        num_parallel: Evaluations at a time.
        source: Candidates of the space.
        documents: Text to pre-train on; None where it is the tasks' own.
    """

    settings: CampaignSettings
    space: DesignSpace
    tasks: Sequence[Task]
    absent_tasks: Sequence[str]
    baselines: Mapping[str, Architecture]
    worker: Settings
    level_budgets: Sequence[int]
    num_initial: int
    gpus: Sequence[str]
    num_parallel: int
    source: SpaceSource
    documents: Mixture | None

    @property
    def score_name(self) -> str:
        """What the objective is called; synthetic scores are never called otherwise."""
        return "demo GLUE score" if self.settings.data == DEMO else "GLUE score"

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change between the parts of one run: else its scores could not be compared."""
        settings = self.settings
        return {
            "space": settings.space,
            "space_content": self.space.content.model_dump(mode="json", by_alias=True, exclude={"constraints"}),
            "seed": settings.seed,
            "data": settings.data,
            "corpus_paths": [source.source for source in self.worker.pretrain.corpus or ()],
            "worker": self.worker.model_dump(mode="json"),
            "constraints": list(map(str, self.space.constraints)),
            "baselines": list(self.baselines),
        }


def check(settings: CampaignSettings) -> Campaign:
    """Check everything that can be known before any work.

    Raises:
        InputError: In one line, for the first thing that is wrong.
    """
    _check_numbers(settings)
    space = DesignSpace.load(settings.space)
    settings = _with_absolute_paths(settings)
    if space.per_head:
        raise InputError(
            f"--space: {space.name} has one operation a head, for which there is no model to train yet. "
            "Sample and measure it with `python -m design_space`."
        )
    space = space.within([Constraint.parse(text) for text in settings.constraints])
    tasks, absent = _tasks(settings)
    if settings.data != DEMO:
        for task in tasks:
            load_task(task, settings.data)
    worker = _worker_settings(settings, tasks)
    baselines = _baselines(settings)
    gpus = visible_gpus()
    budgets = split_budget(settings.budget, len(space.levels))
    initial = settings.initial if settings.initial is not None else min(MAX_INITIAL, max(1, settings.budget // 3))
    return Campaign(
        settings=settings,
        space=space,
        tasks=tasks,
        absent_tasks=absent,
        baselines={name: preset(name) for name in baselines},
        worker=worker,
        level_budgets=budgets,
        num_initial=initial,
        gpus=gpus,
        num_parallel=settings.parallel or len(gpus) or min(MAX_PARALLEL, os.cpu_count() or 1),
        source=SpaceSource(space, settings.seed, job_memory(worker)),
        documents=Mixture(worker.pretrain.corpus) if worker.pretrain.corpus else None,
    )


def _with_absolute_paths(settings: CampaignSettings) -> CampaignSettings:
    """Files and folders by their whole path, so that a run can be resumed from anywhere."""

    def absolute(option: str, text: str) -> str:
        return text if _is_name(option, text) or not Path(text).exists() else str(Path(text).resolve())

    return replace(
        settings,
        space=absolute("space", settings.space),
        data=absolute("data", settings.data),
        corpus=settings.corpus and absolute("corpus", settings.corpus),
        recipe=settings.recipe and absolute("recipe", settings.recipe),
    )


def _is_name(option: str, text: str) -> bool:
    """True for what is shipped under a name, whatever lies in the working folder."""
    shipped = {"space": preset_names(), "data": [DEMO, HUB], "corpus": [DEMO], "recipe": recipe_names()}
    return text in shipped[option]


def _check_numbers(settings: CampaignSettings) -> None:
    for name, least in (
        ("budget", 1),
        ("initial", 1),
        ("parallel", 1),
        ("pretrain_steps", 1),
        ("finetune_steps", 1),
        ("max_failures", 0),
        ("seed", 0),
    ):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')}: must be at least {least}, got {value}.")
    if settings.max_hours is not None and not settings.max_hours > 0:
        raise InputError(f"--max-hours: must be above 0, got {settings.max_hours}.")
    if settings.surrogate not in SEARCHERS:
        hint = did_you_mean(settings.surrogate, SEARCHERS, "Choose one of these.")
        raise InputError(f"--surrogate: must be one of {', '.join(SEARCHERS)}, got {settings.surrogate!r}. {hint}")


def _tasks(settings: CampaignSettings) -> tuple[list[Task], list[str]]:
    """Tasks to score, and those of GLUE that the data lacks."""
    available = available_tasks(settings.data)
    absent = [name for name, task in GLUE.items() if task not in available]
    text = settings.tasks or (DEMO_TASKS if settings.data == DEMO else "all")
    if text == "all":
        return available, absent
    tasks = parse_tasks(text)
    if missing := [task.name for task in tasks if task not in available]:
        names = ", ".join(task.name for task in available)
        raise InputError(f"--tasks: {settings.data} does not have {', '.join(missing)}; it has {names}.")
    return tasks, absent


def _baselines(settings: CampaignSettings) -> list[str]:
    """Names of the baselines: BERT-Mini on real data, none on the demo, where not given."""
    text = settings.baselines
    if text is None:
        return [] if settings.data == DEMO else ["bert_mini"]
    return [name.strip() for name in text.split(",") if name.strip() and name.strip() != "none"]


def _worker_settings(settings: CampaignSettings, tasks: Sequence[Task]) -> Settings:
    is_demo = settings.data == DEMO
    recipe = load_recipe(settings.recipe or ("demo" if is_demo else "cpu_small"))
    if recipe.max_seq_length > MAX_POSITIONS:
        raise InputError(f"recipe: max_seq_length must be at most {MAX_POSITIONS}, got {recipe.max_seq_length}.")
    if settings.pretrain_steps is not None:
        recipe = _with_steps(recipe, settings.pretrain_steps)
    if recipe.max_steps is None:
        raise InputError(f"recipe: {settings.recipe} must name max_steps for a search. Add it, or --pretrain-steps.")
    recipe = recipe.model_copy(update={"corpus": _corpus(settings, recipe)})
    finetune = DEMO_FINETUNE if is_demo else FinetuneSettings()
    if settings.finetune_steps is not None:
        finetune = finetune.model_copy(update={"max_steps": settings.finetune_steps})
    return Settings(
        data=settings.data,
        tasks=[task.name for task in tasks],
        tokenizer="tokenizer",
        corpus="corpus",
        dropout=0.0 if is_demo else 0.1,
        pretrain=recipe,
        finetune=finetune,
    )


def _with_steps(recipe: Recipe, max_steps: int) -> Recipe:
    """The recipe at another length; warm-up keeps its share."""
    warmup = recipe.warmup_share
    steps = warmup if warmup >= 1 else max(1, round(warmup * max_steps))
    return recipe.model_copy(update={"max_steps": max_steps, "warmup_steps": steps})


SEARCHERS: dict[str, Callable[..., Searcher]] = {
    "boshnas": Searcher,
    "gp": partial(Searcher, surrogate=GPSurrogate()),
    "random": RandomSearcher,
}


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
        if database is not None:
            check_database(database)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out: {folder} cannot be made ({error.strerror}). Give another folder.") from None
        identity = campaign.identity | {"options": asdict(campaign.settings)}
        location = new_place(folder, database)
        store = Store.create(location, identity, campaign.space.parameter_choices(), on_wait=on_wait)
        keep_place(folder, location)
        return store
    store = Store.open(place(folder, database), on_wait=on_wait)
    for name, value in campaign.identity.items():
        if store.identity.get(name) != value:
            where, kept, given = first_difference(name, store.identity.get(name), value)
            store.close()
            raise InputError(
                f"--resume: {folder} was begun with {where} {kept!r:.100}, got {given!r:.100}. "
                "Give the same options, or another --out."
            )
    return store


def first_difference(name: str, kept: Any, given: Any) -> tuple[str, Any, Any]:
    """The first value in which two nested settings differ, with its path."""
    if isinstance(kept, dict) and isinstance(given, dict):
        key = next(key for key in [*given, *kept] if kept.get(key) != given.get(key))
        return first_difference(f"{name}.{key}", kept.get(key), given.get(key))
    return name, kept, given


def run(campaign: Campaign, store: Store, folder: Path, view: View) -> str | None:
    """Run a search to the end of its budget.

    Args:
        campaign: Checked settings.
        store: Of the run, open.
        folder: Of the run.
        view: Is told what happens.

    Returns:
        Why it stopped early, or None.

    Raises:
        InputError: If another search uses the folder.
    """
    settings = campaign.settings
    start = time.monotonic()
    with run_lock(folder):
        prepare(campaign, folder)
        source = campaign.source
        for architecture in campaign.baselines.values():
            source.add(architecture)
        _restore(store.trials(), source)
        make_searcher = SEARCHERS[settings.surrogate]
        searcher = make_searcher(
            source.pool, seed=settings.seed, num_initial=campaign.num_initial, neighbors=source.neighbors
        )
        plan = Plan(
            level_budgets=campaign.level_budgets,
            baselines=[architecture.id for architecture in campaign.baselines.values()],
            seed=settings.seed,
            settings=campaign.worker.model_dump(mode="json"),
            synchronous=settings.synchronous or campaign.num_parallel == 1,
            deadline=None if settings.max_hours is None else start + 3600 * settings.max_hours,
            max_failures=settings.max_failures,
        )
        command = [sys.executable, "-m", "boshnas.worker", "{job}"]
        with LocalExecutor(command, num_slots=campaign.num_parallel, gpus=campaign.gpus) as executor:
            return Loop(plan, store, searcher, source, executor, folder, view).run()


def _restore(trials: Sequence[Trial], source: SpaceSource) -> None:
    for level in range(1, max((trial.level for trial in trials), default=0) + 1):
        source.open_level(level, {t.id: t.score for t in trials if t.level < level and t.score is not None})
    for trial in trials:
        source.add(Architecture.from_model_dict(trial.architecture))


def prepare(campaign: Campaign, folder: Path) -> None:
    """Train the run's tokenizer and pack its corpus, once; what is there already is kept."""
    recipe = campaign.worker.pretrain
    for name in (campaign.worker.tokenizer, campaign.worker.corpus):
        target, partial = folder / name, folder / f".{name}.partial"
        if target.exists():
            continue
        shutil.rmtree(partial, ignore_errors=True)
        if name == campaign.worker.tokenizer:
            documents = counted(_documents(campaign), "learning a vocabulary")
            train_tokenizer(documents, recipe.vocab_size).save_pretrained(partial)
        else:
            tokenizer = load_tokenizer(folder / campaign.worker.tokenizer)
            pack(counted(_documents(campaign), "tokenising"), tokenizer, recipe.max_seq_length, partial)
        partial.rename(target)


def _corpus(settings: CampaignSettings, recipe: Recipe) -> tuple[Source, ...] | None:
    """Text for pre-training: asked for, the recipe's, the demo's, beside the tasks; None where it is the tasks' own."""
    beside = Path(settings.data) / "corpus"
    if settings.corpus is not None:
        return (Source(source=settings.corpus),)
    if recipe.corpus is not None:
        return recipe.corpus
    if settings.data == DEMO:
        return (Source(source=DEMO),)
    return (Source(source=str(beside)),) if settings.data != HUB and beside.is_dir() else None


def _documents(campaign: Campaign) -> Iterable[str]:
    if campaign.documents is not None:
        return campaign.documents
    return (
        row[name]
        for task in campaign.tasks
        for row in load_task(task, campaign.settings.data).train
        for name in task.text_fields
    )


def params_of(trial: Trial) -> int:
    """Parameters of a trial's encoder, heads not counted."""
    return num_parameters(Architecture.from_model_dict(trial.architecture))
