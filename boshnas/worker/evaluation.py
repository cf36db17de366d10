"""One architecture: pre-trained or grown from a neighbour, fine-tuned on each task, scored."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from transformers import set_seed
from transformers.utils import CONFIG_NAME

from boshnas.folders import inside, require_data
from boshnas.job import CHECKPOINT_FOLDER, Job, Result
from boshnas.stages import Report, Stages
from boshnas.trial import Status
from boshnas.worker.settings import MAX_POSITIONS, Settings, finetune_arguments, split_batch
from design_space.architecture import Architecture
from design_space.model import FlexiBertForMaskedLM
from design_space.model.transfer import transfer
from finetune.data import DEMO, HUB, load_task
from finetune.heads.head import Reading
from finetune.outcomes.repeats import RunOutcome
from finetune.tasks import Task, find_task, glue_score
from finetune.train import finetune
from pretrain.arguments import PretrainArguments
from pretrain.budget import Budget
from pretrain.checkpoints import checkpoints, step_of
from pretrain.corpus import PackedCorpus
from pretrain.identity import IDENTITY_FILE
from pretrain.interrupt import StoppedError, stop_on_signal
from pretrain.tokenizer import load_tokenizer
from pretrain.train import Objective, Run, build_model, pretrain

SAVE_SECONDS = 600.0
"""Between two checkpoints of a pre-training, so that another attempt goes on from there."""


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
    if settings.data not in (DEMO, HUB):
        require_data(run_folder, settings.data)
    stages = Stages(job, folder)
    details = _train_encoder(job, settings, folder, run_folder, stages)
    scores = {task: _score(job, find_task(task), settings, folder, stages) for task in settings.tasks}
    return Result(
        number=job.number,
        id=job.id,
        status=Status.FINISHED,
        score=glue_score([outcome.score for outcome in scores.values()]),
        task_scores={task: outcome.score for task, outcome in scores.items()},
        stage_seconds=stages.seconds,
        details=details | {"metrics": {task: dict(outcome.metrics) for task, outcome in scores.items()}},
    )


def _train_encoder(job: Job, settings: Settings, folder: Path, run_folder: Path, stages: Stages) -> dict[str, Any]:
    """Write the encoder's checkpoint; what happened, for the result."""
    stage = "pretrain" if job.parent is None else "transfer"
    if not (folder / CHECKPOINT_FOLDER / CONFIG_NAME).is_file():
        stages.forget(stage)
    set_seed(job.seed)
    tokenizer = load_tokenizer(inside(run_folder, "settings.tokenizer", settings.tokenizer))

    def build() -> FlexiBertForMaskedLM:
        return build_model(
            Architecture.from_model_dict(job.architecture),
            tokenizer,
            MAX_POSITIONS,
            hidden_dropout_prob=settings.dropout,
            attention_probs_dropout_prob=settings.dropout,
        )

    if job.parent is None:
        corpus = inside(run_folder, "settings.corpus", settings.corpus)
        return stages.run(stage, lambda report: _pretrain(job, build(), settings, folder, corpus, stages, report))
    lender = job.parent
    checkpoint = inside(run_folder, "parent.checkpoint", lender.checkpoint)

    def take(report: Report) -> dict[str, Any]:
        model = build()
        taken = transfer(FlexiBertForMaskedLM.from_pretrained(checkpoint), model)
        model.save_pretrained(folder / CHECKPOINT_FOLDER)
        tokenizer.save_pretrained(folder / CHECKPOINT_FOLDER)
        return {"transferred_from": lender.id, "overlap": lender.overlap, "share_transferred": taken.share}

    return stages.run(stage, take)


def _pretrain(
    job: Job,
    model: FlexiBertForMaskedLM,
    settings: Settings,
    folder: Path,
    corpus: Path,
    stages: Stages,
    report: Report,
) -> dict[str, Any]:
    """Pre-train from the newest checkpoint of an earlier attempt, or from the start."""
    target = folder / CHECKPOINT_FOLDER
    recipe = settings.pretrain
    arguments = PretrainArguments(
        output_dir=str(target),
        seed=job.seed,
        disable_tqdm=True,
        save_total_limit=1,
        **recipe.training_arguments()
        | split_batch(recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps, job.batch_split),
    )
    _keep_if_same_split(target, arguments)
    newest = 0

    def tell(step: int, num_steps: int) -> None:
        nonlocal newest
        report(step, num_steps)
        saved = max(map(step_of, checkpoints(target)), default=0)
        if saved > newest:
            newest = saved
            stages.saved("pretrain", saved)

    try:
        with stop_on_signal() as is_stop_wanted:
            result = pretrain(
                model,
                load_tokenizer(folder.parents[1] / settings.tokenizer),
                PackedCorpus.load(corpus),
                arguments,
                Objective(mlm_probability=recipe.mlm_probability),
                Run(
                    budget=Budget(max_steps=arguments.max_steps),
                    save_seconds=SAVE_SECONDS,
                    resume=True,
                    is_stop_wanted=is_stop_wanted,
                ),
                report=tell,
            )
    except StoppedError as error:
        stages.saved("pretrain", step_of(error.checkpoint))
        raise
    for checkpoint in checkpoints(target):
        shutil.rmtree(checkpoint)
    return {"pretrain_loss": result.loss, "held_out_loss": result.held_out_loss, "pretrain_steps": result.num_steps}


def _keep_if_same_split(target: Path, arguments: PretrainArguments) -> None:
    """Delete what an attempt with other batches has left, or one that did not come as far as a checkpoint."""
    try:
        kept = json.loads((target / IDENTITY_FILE).read_text("utf-8"))
        is_same = kept["per_device_train_batch_size"] == arguments.per_device_train_batch_size
    except (OSError, ValueError, KeyError, TypeError):
        is_same = False
    if not (is_same and checkpoints(target)):
        shutil.rmtree(target, ignore_errors=True)


def _score(job: Job, task: Task, settings: Settings, folder: Path, stages: Stages) -> RunOutcome:
    """Fine-tune and score one task, from the same checkpoint as the others."""

    def work(report: Report) -> dict[str, Any]:
        outcome = finetune(
            str(folder / CHECKPOINT_FOLDER),
            task,
            load_task(task, settings.data),
            finetune_arguments(settings.finetune, job.seed, folder / "finetuned", job.batch_split),
            Reading(max_seq_length=settings.finetune.max_seq_length),
            report=report,
        )
        return asdict(outcome)

    return RunOutcome(**cast(dict[str, Any], stages.run(task.name, work)))
