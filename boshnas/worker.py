"""`python -m boshnas.worker JOB`: train and score one architecture."""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from transformers import set_seed
from transformers.utils import logging as transformers_logging

from boshnas.executors import exit_with_driver
from boshnas.job import CHECKPOINT_FOLDER, PROGRESS_FILE, RESULT_FILE, Job, Progress, Result, read_model, write_model
from boshnas.trial import Status
from design_space.architecture import Architecture
from design_space.errors import InputError
from design_space.model import FlexiBertForMaskedLM
from design_space.model.transfer import transfer
from finetune.config import FinetuneArguments
from finetune.data import load_task
from finetune.heads.head import Reading
from finetune.outcomes.repeats import RunOutcome
from finetune.tasks import find_task, glue_score
from finetune.train import finetune
from pretrain.callbacks import DivergedError
from pretrain.config import PretrainArguments, Recipe, bf16_supported
from pretrain.corpus import PackedCorpus
from pretrain.tokenizer import load_tokenizer
from pretrain.train import Objective, build_model, pretrain

MAX_POSITIONS = 512
_PROGRESS_SECONDS = 0.5
_TRACEBACK_CHARS = 2_000


class FinetuneSettings(BaseModel):
    """How every task is fine-tuned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_steps: int = -1
    num_train_epochs: PositiveFloat = 5.0
    per_device_train_batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-4
    warmup_steps: PositiveFloat = 0.06
    max_seq_length: PositiveInt = 128
    train_sampling_strategy: str = "stratified"


class Settings(BaseModel):
    """The part of a job that is the same for all candidates of a run.

    Attributes:
        data: Source of the tasks (see `finetune.data`).
        tasks: Names of the tasks to score.
        tokenizer: Folder, relative to the run's.
        corpus: Folder of the packed corpus, relative to the run's.
        dropout: In the model, at every place.
        pretrain: Recipe of pre-training.
        finetune: Recipe of fine-tuning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    tasks: list[str]
    tokenizer: str
    corpus: str
    dropout: float
    pretrain: Recipe
    finetune: FinetuneSettings


class Stages:
    """Times each stage and writes where it is into progress.json, at most twice a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0.0
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Any:
        """Time what is done inside; gives a function to report steps with."""
        start = time.monotonic()
        yield self.reporter(name)
        self.seconds[name] = round(time.monotonic() - start, 3)

    def reporter(self, name: str) -> Callable[[int, int], None]:
        """A function of step and number of steps."""

        def report(step: int, num_steps: int) -> None:
            if time.monotonic() - self._written > _PROGRESS_SECONDS:
                write_model(self._folder / PROGRESS_FILE, Progress(stage=name, step=step, num_steps=num_steps))
                self._written = time.monotonic()

        return report


def evaluate(job: Job, folder: Path, run_folder: Path) -> Result:
    """Pre-train (or take a neighbour's weights), fine-tune on each task, score.

    Args:
        job: What to evaluate.
        folder: Of the job; receives the checkpoint.
        run_folder: Holds tokenizer, corpus and the neighbours' checkpoints.

    Returns:
        The finished result; failures are exceptions.
    """
    settings = Settings.model_validate(job.settings)
    architecture = Architecture.from_model_dict(job.architecture)
    stages = Stages(folder)
    details = _train_encoder(job, architecture, settings, folder, run_folder, stages)
    scores = _score(job, settings, folder, stages)
    return Result(
        number=job.number,
        id=job.id,
        status=Status.FINISHED,
        score=glue_score([result.score for result in scores]),
        task_scores={result.task: result.score for result in scores},
        stage_seconds=stages.seconds,
        details=details | {"metrics": {result.task: dict(result.metrics) for result in scores}},
    )


def _train_encoder(
    job: Job, architecture: Architecture, settings: Settings, folder: Path, run_folder: Path, stages: Stages
) -> dict[str, Any]:
    """Write the encoder's checkpoint; what happened, for the result."""
    set_seed(job.seed)
    tokenizer = load_tokenizer(run_folder / settings.tokenizer)
    model = build_model(
        architecture,
        tokenizer,
        MAX_POSITIONS,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
    )
    if job.parent is not None:
        with stages.stage("transfer"):
            source = FlexiBertForMaskedLM.from_pretrained(run_folder / job.parent.checkpoint)
            taken = transfer(source, model)
            model.save_pretrained(folder / CHECKPOINT_FOLDER)
            tokenizer.save_pretrained(folder / CHECKPOINT_FOLDER)
        return {"transferred_from": job.parent.id, "overlap": job.parent.overlap, "share_transferred": taken.share}
    arguments = PretrainArguments(
        output_dir=str(folder / CHECKPOINT_FOLDER),
        seed=job.seed,
        disable_tqdm=True,
        **settings.pretrain.training_arguments(),
    )
    with stages.stage("pretrain") as report:
        corpus = PackedCorpus.load(run_folder / settings.corpus)
        result = pretrain(
            model,
            tokenizer,
            corpus,
            arguments,
            Objective(mlm_probability=settings.pretrain.mlm_probability),
            report=report,
        )
    return {"pretrain_loss": result.loss, "held_out_loss": result.held_out_loss, "pretrain_steps": result.num_steps}


def _score(job: Job, settings: Settings, folder: Path, stages: Stages) -> list[RunOutcome]:
    """One result a task, all from the same checkpoint."""
    results = []
    for task in map(find_task, settings.tasks):
        result = finetune(
            str(folder / CHECKPOINT_FOLDER),
            task,
            load_task(task, settings.data),
            finetune_arguments(settings.finetune, job.seed, folder / "finetuned"),
            Reading(max_seq_length=settings.finetune.max_seq_length),
            report=stages.reporter(task.name),
        )
        stages.seconds[task.name] = round(result.seconds, 3)
        results.append(result)
    return results


def finetune_arguments(settings: FinetuneSettings, seed: int, folder: Path) -> FinetuneArguments:
    """Arguments of the Trainer for one task of a search."""
    return FinetuneArguments(
        output_dir=str(folder),
        seed=seed,
        disable_tqdm=True,
        bf16=bf16_supported(),
        **settings.model_dump(exclude={"max_seq_length"}),
    )


def failure(job: Job, error: Exception) -> Result:
    """The result of an evaluation that raised."""
    if isinstance(error, DivergedError | FloatingPointError):
        status = Status.DIVERGED
    elif isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        status = Status.OUT_OF_MEMORY
    elif isinstance(error, InputError):
        status = Status.BAD_INPUT
    else:
        status = Status.CRASHED
    end = "".join(traceback.format_exception(error))[-_TRACEBACK_CHARS:]
    return Result(number=job.number, id=job.id, status=status, error=f"{type(error).__name__}: {error}\n{end}")


def main(words: Sequence[str]) -> int:
    """Run the job of a file and write its result beside it; 0 where it finished."""
    exit_with_driver()
    path = Path(words[0]).resolve()
    job = read_model(path, Job)
    try:
        result = evaluate(job, path.parent, path.parents[2])
    except Exception as error:  # whatever it is, the search must learn of it and go on
        logging.getLogger(__name__).exception("evaluation %d failed", job.number)
        result = failure(job, error)
    write_model(path.parent / RESULT_FILE, result)
    sys.stdout.write(json.dumps({"status": result.status, "score": result.score}) + "\n")
    return 0 if result.status is Status.FINISHED else 1


if __name__ == "__main__":
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    raise SystemExit(main(sys.argv[1:]))
