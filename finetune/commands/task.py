"""`python -m finetune --task_name …`: one task, one or more seeds."""

import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.autotune import Ranges, ReportToTrial, autotune
from finetune.commands.checks import check, require_one_process, seeds_of
from finetune.config import FinetuneConfig, command_and_example
from finetune.outcomes.repeats import SettingOutcome, detail_text, points
from finetune.outcomes.results import keep, show, tell
from finetune.outcomes.table import seeds_table
from finetune.output_folder import RESULT_FILE, output_folder
from finetune.predict import predict, write_predictions
from finetune.runs import MODEL_FOLDER, Setting, run_seeds
from finetune.source import Source, find_source, reading
from finetune.tasks import Problem
from finetune.train import finetune
from finetune.tuning.settings import FULL
from pretrain.command_line import FlagParser

PREDICTIONS_FILE = "predictions.tsv"


@dataclass(frozen=True)
class Command:
    """What a command line asks for.

    Attributes:
        config: Flags of this project.
        arguments: Of the Trainer.
        trains: Whether it trains; else a checkpoint is scored or predicts as it is.
    """

    config: FinetuneConfig
    arguments: FinetuneArguments
    trains: bool


def run_task(words: Sequence[str]) -> None:
    """Read the flags, run, and show the result."""
    command = parse(words)
    training = command.arguments
    outcome = train(command)
    if outcome is None or training.process_index > 0:
        return
    show([outcome], seeds_table(outcome), command.config.json)
    if training.output_dir:
        folder = Path(training.output_dir)
        model = f"; the best run's model: {folder / MODEL_FOLDER}" if command.trains else ""
        sys.stderr.write(f"results: {folder / RESULT_FILE}{model}\n")


def parse(words: Sequence[str]) -> Command:
    """Read the flags, and check them.

    Raises:
        InputError: If one is unknown, its value not allowed, or of no use.
    """
    parser = FlagParser((FinetuneConfig, FinetuneArguments), *command_and_example(None))
    config, training = parser.parse(words)
    check(config, training)
    trains = training.do_train or not (training.do_predict or _asks_to_score(words))
    if not trains:
        for name, is_given in (("autotune", config.autotune), ("tuning", training.tuning != FULL)):
            if is_given:
                raise InputError(
                    f"--{name}: must train, which --do_eval and --do_predict alone do not. Give --do_train."
                )
    return Command(config, training, trains)


def setting_of(command: Command, source: Source) -> Setting:
    """What is run on some rows."""
    return Setting(
        checkpoint=command.config.model_name_or_path,
        source=source,
        arguments=command.arguments,
        reading=reading(command.config, source.task),
        trains=command.trains,
    )


def train(command: Command) -> SettingOutcome | None:
    """Do what is asked, and keep the result where it is to be; None where rows were predicted alone.

    Raises:
        InputError: If the rows or the checkpoint are not what they must be.
        DivergedError: If a run diverges.
    """
    config, training = command.config, command.arguments
    seeds = seeds_of(config, training)
    source = find_source(config, with_test=training.do_predict)
    setting = setting_of(command, source)
    _check_rows(setting)
    folder = Path(training.output_dir) if training.output_dir else None
    with (
        output_folder(folder, training.process_index == 0),
        contextlib.redirect_stdout(sys.stderr),  # what the Trainer prints
    ):
        if config.autotune:
            setting = replace(setting, arguments=_tuned(setting, config, folder))
        # Other rows than those of a task may be there to be predicted alone.
        outcome = run_seeds(setting, seeds, folder, config.resume, tell) if source.data.validation else None
        if training.do_predict and folder is not None:
            test = _predict(setting, folder)
            outcome = outcome and replace(outcome, test=test)
        if outcome and training.process_index == 0:
            keep([outcome], seeds_table(outcome), folder)
    return outcome


def _asks_to_score(words: Sequence[str]) -> bool:
    """Whether --do_eval was typed; the Trainer's arguments also set it where they are to score after each epoch."""
    return any(word.partition("=")[0].replace("-", "_") == "__do_eval" for word in words)


def _check_rows(setting: Setting) -> None:
    """Refuse what there are no rows for, and predictions that could not be made after the runs."""
    training, source = setting.arguments, setting.source
    if setting.trains and not source.data.train:
        raise InputError("--train_file: must name rows to train on. Give it; or --do_eval or --do_predict alone.")
    if not training.do_predict:
        if not source.data.validation:
            raise InputError("--validation_file: must name rows to score. Give it; --do_predict is for --test_file.")
        return
    if not training.output_dir:
        raise InputError("--do_predict: the best model writes its predictions into a folder. Give --output_dir.")
    if source.task.problem is Problem.ANSWER:
        raise InputError(f"--do_predict: is for tasks with labels, {source.task.name} has answers. Leave it out.")
    if source.data.test is None:
        rows = f"test rows of {source.task.name}"
        raise InputError(f"--do_predict: {source.name} must have {rows}, has none. Add them, or give --test_file.")


def _predict(setting: Setting, folder: Path) -> Mapping[str, float] | None:
    """Let the best run's model, or the checkpoint where nothing was trained, predict the test rows; their metrics."""
    source, rows = setting.source, setting.source.data.test
    assert rows is not None
    model = folder / MODEL_FOLDER if setting.trains else setting.checkpoint
    found = predict(str(model), source.task, rows, setting.arguments, setting.reading)
    if setting.arguments.process_index == 0:
        write_predictions(folder / PREDICTIONS_FILE, source.task, rows, found.predictions)
        metrics = ", ".join(f"{name} {points(name, value):.2f}" for name, value in found.metrics.items())
        details = "".join(f"; {name} {detail_text(name, value)}" for name, value in found.details.items())
        told = f" ({metrics}{details})" if metrics else ""
        sys.stderr.write(f"{len(rows):,} test rows: {folder / PREDICTIONS_FILE}{told}\n")
    return found.metrics or None


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
