"""`python -m finetune --task_name …`: one task, one or more seeds."""

import contextlib
import json
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from transformers.integrations.integration_utils import get_reporting_integration_callbacks

from design_space.errors import InputError, first_line
from design_space.files import written_whole
from finetune.autotune import Ranges, ReportToTrial, autotune
from finetune.config import FinetuneArguments, FinetuneConfig, RunsConfig
from finetune.optimizers.choice import OURS, chosen
from finetune.output_folder import RESULT_FILE, output_folder, require_free
from finetune.predict import predict, write_predictions
from finetune.repeats import RunOutcome, SettingOutcome, points
from finetune.repeats_file import to_json, write_outcomes
from finetune.repeats_table import seeds_table
from finetune.runs import MODEL_FOLDER, Setting, run_seeds
from finetune.source import Source, find_source, reading
from finetune.tasks import Problem
from finetune.train import finetune
from pretrain.command_line import FlagParser

EXAMPLE = "python -m finetune --model_name_or_path tiny --task_name mrpc --data my-glue/ --num_runs 5 --output_dir out"
TABLE_FILE = "result.md"
PREDICTIONS_FILE = "predictions.tsv"

_LEAST = {
    "max_train_samples": 1,
    "max_eval_samples": 1,
    "max_predict_samples": 1,
    "max_seq_length": 8,  # two texts, what stands between them, and a token of each
    "num_runs": 1,
    "doc_stride": 0,
    "n_best_size": 1,
    "max_answer_length": 1,
    "autotune": 0,
    "early_stopping_patience": 1,
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "weight_decay": 0,
}

_NOT_DONE = {
    "resume_from_checkpoint": "Runs leave nothing to go on from: give --resume for those that are finished.",
    "prediction_loss_only": "Scores need predictions: leave it out.",
    "push_to_hub": "Upload the folder 'model' of the results with 'hf upload'.",
}
"""Arguments of the Trainer without a use here."""


def run_task(words: Sequence[str]) -> None:
    """Read the flags and run."""
    parser = FlagParser((FinetuneConfig, FinetuneArguments), "python -m finetune", EXAMPLE)
    config, training = parser.parse(words)
    check(config, training)
    seeds = seeds_of(config, training)
    setting = Setting(
        checkpoint=config.model_name_or_path,
        source=(source := find_source(config, training.seed, with_test=training.do_predict)),
        arguments=training,
        reading=reading(config, source.task),
        trains=training.do_train or not (training.do_predict or _asks_to_score(words)),
    )
    if training.do_predict:
        _check_prediction(training, source)
    folder = Path(training.output_dir) if training.output_dir else None
    with (
        output_folder(folder, training.process_index == 0),
        contextlib.redirect_stdout(sys.stderr),  # what the Trainer prints
    ):
        if config.autotune:
            setting = replace(setting, arguments=_tuned(setting, config, folder))
        outcome = run_seeds(setting, seeds, folder, config.resume, tell)
        if training.do_predict and folder is not None:
            outcome = replace(outcome, test=_predict(setting, folder))
        if training.process_index == 0:
            keep([outcome], seeds_table(outcome), folder)
    if training.process_index > 0:
        return
    show([outcome], seeds_table(outcome), config.json)
    if folder is not None:
        model = f"; the best run's model: {folder / MODEL_FOLDER}" if setting.trains else ""
        sys.stderr.write(f"results: {folder / RESULT_FILE}{model}\n")


def _asks_to_score(words: Sequence[str]) -> bool:
    """Whether --do_eval was typed; the Trainer's arguments also set it where they are to score after each epoch."""
    return any(word.partition("=")[0].replace("-", "_") == "__do_eval" for word in words)


def _check_prediction(training: FinetuneArguments, source: Source) -> None:
    """Refuse predictions that could not be made after the runs."""
    if not training.output_dir:
        raise InputError("--do_predict: the best model writes its predictions into a folder. Give --output_dir.")
    if source.task.problem is Problem.ANSWER:
        raise InputError(f"--do_predict: is for tasks with labels, {source.task.name} has answers. Leave it out.")
    if source.data.test is None:
        raise InputError(f"--do_predict: {source.name} must have test rows of {source.task.name}, has none. Add them.")


def _predict(setting: Setting, folder: Path) -> Mapping[str, float] | None:
    """Let the best run's model, or the checkpoint where nothing was trained, predict the test rows; their metrics."""
    source, rows = setting.source, setting.source.data.test
    assert rows is not None
    model = folder / MODEL_FOLDER if setting.trains else setting.checkpoint
    found = predict(str(model), source.task, rows, setting.arguments, setting.reading)
    if setting.arguments.process_index == 0:
        write_predictions(folder / PREDICTIONS_FILE, source.task, rows, found.predictions)
        metrics = ", ".join(f"{name} {points(name, value):.2f}" for name, value in found.metrics.items())
        told = f" ({metrics})" if metrics else ""
        sys.stderr.write(f"{len(rows):,} test rows: {folder / PREDICTIONS_FILE}{told}\n")
    return found.metrics or None


def check(config: RunsConfig, training: FinetuneArguments) -> None:
    """Refuse what cannot be run.

    Raises:
        InputError: With the flag's name.
    """
    if not config.model_name_or_path:
        raise InputError("--model_name_or_path: must name a checkpoint. Give a folder or a hub name.")
    require_free(training.output_dir, resume=config.resume)
    for name, way_out in _NOT_DONE.items():
        if getattr(training, name):
            raise InputError(f"--{name}: is not done here. {way_out}")
    try:
        for callback in get_reporting_integration_callbacks(training.report_to):
            callback()  # refuses where its package is not there
    except (ValueError, RuntimeError) as error:
        raise InputError(f"--report_to: {first_line(error)} Or leave it out.") from None
    if training.optim in OURS:
        chosen(training)
    for name, least in _LEAST.items():
        value = getattr(config, name, None) if hasattr(config, name) else getattr(training, name, None)
        if value is not None and value < least:
            raise InputError(f"--{name}: must be at least {least}, got {value}.")
    for name in ("learning_rate", "head_learning_rate", "num_train_epochs"):
        value = getattr(training, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name}: must be above 0 and finite, got {value}.")
    if not 0 < training.layerwise_lr_decay <= 1:
        raise InputError(f"--layerwise_lr_decay: must be in (0, 1], got {training.layerwise_lr_decay}.")


def seeds_of(config: RunsConfig, training: FinetuneArguments) -> list[int]:
    """The seeds of the runs.

    Raises:
        InputError: If they are given twice, or one of them twice.
    """
    if config.seeds and config.num_runs is not None:
        raise InputError("--seeds: must not be given with --num_runs. Leave one of them out.")
    if len(set(config.seeds)) < len(config.seeds):
        raise InputError(f"--seeds: must differ, got {', '.join(map(str, config.seeds))}.")
    seeds = config.seeds or list(range(training.seed, training.seed + (config.num_runs or 1)))
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise InputError(f"{'--seeds' if config.seeds else '--seed'}: must be from 0 to 2^32 - 1, got {seed}.")
    return seeds


def tell(run: RunOutcome) -> None:
    """A line about a run that is done."""
    metrics = ", ".join(f"{name} {points(name, value):.2f}" for name, value in run.metrics.items())
    details = "".join(f"; {name} {value:.4f}" for name, value in run.details.items())
    sys.stderr.write(f"{run.task}, seed {run.seed}: {run.score:.2f} ({metrics}{details}) in {run.seconds:.0f} s\n")


def keep(outcomes: Sequence[SettingOutcome], table: str, folder: Path | None) -> None:
    """Write result.json and result.md."""
    if folder is not None:
        write_outcomes(folder / RESULT_FILE, outcomes)
        with written_whole(folder / TABLE_FILE) as file:
            file.write(table.encode())


def show(outcomes: Sequence[SettingOutcome], table: str, as_json: bool) -> None:
    """Print what one of these files holds."""
    sys.stdout.write(json.dumps(to_json(outcomes)) + "\n" if as_json else table)


def require_one_process(option: str, training: FinetuneArguments) -> None:
    """Refuse what `torchrun` cannot divide among its processes."""
    if training.world_size > 1:
        raise InputError(f"{option}: is for one process, there are {training.world_size}. Leave torchrun out.")


def _tuned(setting: Setting, config: FinetuneConfig, folder: Path | None) -> FinetuneArguments:
    """The arguments with the best score of a study."""
    require_one_process("--autotune", setting.arguments)
    if folder is None:
        raise InputError("--autotune: keeps its study in a folder. Give --output_dir.")
    if len(config.autotune_learning_rate) != 2:
        raise InputError("--autotune_learning_rate: must be two rates, the least and the greatest.")
    ranges = Ranges(
        learning_rate=(config.autotune_learning_rate[0], config.autotune_learning_rate[1]),
        batch_sizes=tuple(config.autotune_batch_sizes),
        epochs=tuple(config.autotune_epochs),
    )

    def train(arguments: FinetuneArguments, watch: ReportToTrial) -> float:
        with tempfile.TemporaryDirectory(prefix="autotune-") as scratch:
            by_epoch = replace(arguments, eval_strategy="epoch", output_dir=scratch)
            source = setting.source
            return finetune(
                setting.checkpoint, source.task, source.data, by_epoch, setting.reading, callbacks=[watch]
            ).score

    tuned = {"learning_rate", "per_device_train_batch_size", "num_train_epochs"}
    fixed = {name: value for name, value in setting.to_json().items() if name not in tuned}
    may_go_on = not any(folder.glob("run-*.json"))
    found = autotune(train, setting.arguments, config.autotune, folder, ranges, fixed=fixed, may_go_on=may_go_on)
    sys.stderr.write(
        f"autotune: learning rate {found.learning_rate:.3g}, batch {found.per_device_train_batch_size}, "
        f"epochs {found.num_train_epochs:g}\n"
    )
    return found
