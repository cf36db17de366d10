"""What the project's own worker trains and scores on: tasks, recipe, tokenizer, corpus."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boshnas.errors import InputError
from boshnas.worker.settings import MAX_POSITIONS, FinetuneSettings, Settings
from finetune.data import DEMO, HUB, available_tasks, load_task
from finetune.tasks import GLUE, Task, parse_tasks
from pretrain.config import Recipe, Source, load_recipe
from pretrain.corpus import pack
from pretrain.mixture import Mixture
from pretrain.progress import counted
from pretrain.tokenizer import load_tokenizer, train_tokenizer

DEMO_TASKS = "cola,sst2,mrpc,stsb"
DEMO_FINETUNE = FinetuneSettings(
    max_steps=36, per_device_train_batch_size=16, learning_rate=8e-4, warmup_steps=8, max_seq_length=64
)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The part of what a person asks for that only the project's own worker heeds."""

    data: str = DEMO
    corpus: str | None = None
    tasks: str | None = None
    recipe: str | None = None
    pretrain_steps: int | None = None
    finetune_steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """Checked options of training.

    Attributes:
        worker: What every worker is told.
        tasks: To score.
        absent_tasks: Tasks of GLUE that the data does not have.
        documents: Text to pre-train on; None where it is the tasks' own.
    """

    worker: Settings
    tasks: Sequence[Task]
    absent_tasks: Sequence[str]
    documents: Mixture | None

    @property
    def score_name(self) -> str:
        """What the objective is called; synthetic scores are never called otherwise."""
        return "demo GLUE score" if self.worker.data == DEMO else "GLUE score"

    @property
    def data_folder(self) -> str | None:
        """Of the tasks; None where they are no files."""
        return None if self.worker.data in (DEMO, HUB) else self.worker.data

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change between the parts of one run."""
        return {
            "data": self.worker.data,
            "corpus_paths": [source.source for source in self.worker.pretrain.corpus or ()],
            "worker": self.worker.model_dump(mode="json"),
        }

    def prepare(self, folder: Path) -> None:
        """Train the run's tokenizer and pack its corpus, once; what is there already is kept."""
        recipe = self.worker.pretrain
        for name in (self.worker.tokenizer, self.worker.corpus):
            target, partial = folder / name, folder / f".{name}.partial"
            if target.exists():
                continue
            shutil.rmtree(partial, ignore_errors=True)
            if name == self.worker.tokenizer:
                documents = counted(self._documents(), "learning a vocabulary")
                train_tokenizer(documents, recipe.vocab_size).save_pretrained(partial)
            else:
                tokenizer = load_tokenizer(folder / self.worker.tokenizer)
                pack(counted(self._documents(), "tokenising"), tokenizer, recipe.max_seq_length, partial)
            partial.rename(target)

    def _documents(self) -> Iterable[str]:
        if self.documents is not None:
            return self.documents
        return (
            row[name]
            for task in self.tasks
            for row in load_task(task, self.worker.data).train
            for name in task.text_fields
        )


def check_training(settings: TrainingOptions) -> Training:
    """Check what is trained and scored before any work.

    Raises:
        InputError: In one line, for the first thing that is wrong.
    """
    tasks, absent = _tasks(settings)
    if settings.data != DEMO:
        for task in tasks:
            load_task(task, settings.data)
    worker = _worker_settings(settings, tasks)
    corpus = worker.pretrain.corpus
    return Training(worker=worker, tasks=tasks, absent_tasks=absent, documents=Mixture(corpus) if corpus else None)


def recipe_name(settings: TrainingOptions) -> str:
    """Name or file of the recipe that is asked for, or the data's own."""
    return settings.recipe or ("demo" if settings.data == DEMO else "cpu_small")


def _tasks(settings: TrainingOptions) -> tuple[list[Task], list[str]]:
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


def _worker_settings(settings: TrainingOptions, tasks: Sequence[Task]) -> Settings:
    is_demo = settings.data == DEMO
    recipe = load_recipe(recipe_name(settings))
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


def _corpus(settings: TrainingOptions, recipe: Recipe) -> tuple[Source, ...] | None:
    """Text for pre-training: asked for, the recipe's, the demo's, beside the tasks; None where it is the tasks' own."""
    beside = Path(settings.data) / "corpus"
    if settings.corpus is not None:
        return (Source(source=settings.corpus),)
    if recipe.corpus is not None:
        return recipe.corpus
    if settings.data == DEMO:
        return (Source(source=DEMO),)
    return (Source(source=str(beside)),) if settings.data != HUB and beside.is_dir() else None
