"""Learning rate, batch and epochs chosen by Optuna: TPE, with bad trials ended early, resumable."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.outcomes.file import difference, json_ready
from pretrain.callbacks import DivergedError

STUDY_FILE = "autotune.db"
_SETTING = "setting"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """What is tuned, and between which values.

    Attributes:
        learning_rate: Least and greatest, drawn on a logarithmic scale.
        batch_sizes: Rows a device and step.
        epochs: Numbers of epochs; none: not tuned.

    Reference:
        The ranges of FlexiBERT: Tuli et al. 2022, arXiv 2205.11656, section 4.
    """

    learning_rate: tuple[float, float] = (2e-5, 5e-4)
    batch_sizes: tuple[int, ...] = (32, 64, 128)
    epochs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        low, high = self.learning_rate
        if not 0 < low < high:
            raise InputError(f"--autotune_learning_rate: must be two rates, the lower first, got {low:g} and {high:g}.")
        for name, values in {"batch_sizes": self.batch_sizes, "epochs": self.epochs}.items():
            if any(value < 1 for value in values):
                raise InputError(f"--autotune_{name}: must be numbers from 1 on, got {', '.join(map(str, values))}.")

    def draw(self, trial: optuna.trial.BaseTrial, arguments: FinetuneArguments) -> FinetuneArguments:
        """Arguments of one trial."""
        drawn: dict[str, Any] = {
            "learning_rate": trial.suggest_float("learning_rate", *self.learning_rate, log=True),
            "per_device_train_batch_size": trial.suggest_categorical("batch_size", self.batch_sizes),
        }
        if self.epochs:
            drawn["num_train_epochs"] = float(trial.suggest_categorical("epochs", self.epochs))
        return replace(arguments, **drawn)


class ReportToTrial(TrainerCallback):
    """Tells a trial the score after each epoch, and ends it where it is below the median of the others.

    Args:
        trial: Of the study.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report the score.

        Raises:
            optuna.TrialPruned: If the trial is not worth going on with.
        """
        self._trial.report((metrics or {})["eval_score"], round(state.epoch or 0))
        if self._trial.should_prune():
            raise optuna.TrialPruned


def autotune(
    train: Callable[[FinetuneArguments, ReportToTrial], float],
    arguments: FinetuneArguments,
    num_trials: int,
    folder: Path,
    ranges: Ranges | None = None,
    *,
    fixed: Mapping[str, Any] | None = None,
    may_go_on: bool = True,
) -> FinetuneArguments:
    """Search for the arguments with the greatest score.

    Args:
        train: Trains once with the arguments and the callback that it gets; gives the score.
        arguments: What all trials share; its seed is the study's.
        num_trials: Of the study altogether, those that it holds already among them.
        folder: Receives `autotune.db`, an Optuna study that optuna-dashboard can open.
        ranges: What is tuned; None: the defaults.
        fixed: What all trials of the folder's study must share, as JSON values.
        may_go_on: Whether a study with fewer trials may go on.

    Returns:
        The arguments of the best trial.

    Raises:
        InputError: If `num_trials` is less than 1, every trial diverged, or the folder's study is another one or may
            not go on.
    """
    if num_trials < 1:
        raise InputError(f"--autotune: must be at least 1 trial, got {num_trials}.")
    ranges = ranges or Ranges()
    study = _study(folder, arguments.seed)
    _require_same(study, folder, asdict(ranges) | dict(fixed or {}))
    left = num_trials - len(study.trials)
    if left > 0 and study.trials and not may_go_on:
        raise InputError(
            f"--autotune: {folder} holds runs of what {len(study.trials)} trials found. "
            f"Give --autotune {len(study.trials)}, or another --output_dir."
        )

    def objective(trial: optuna.Trial) -> float:
        return train(ranges.draw(trial, arguments), ReportToTrial(trial))

    def tell(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        end = trial.state.name.lower() if trial.value is None else f"{trial.value:.2f}"
        drawn = ", ".join(f"{name} {value:.3g}" for name, value in trial.params.items())
        _logger.info("trial %d of %d: %s (%s)", trial.number + 1, num_trials, end, drawn)

    if left > 0:
        study.optimize(objective, n_trials=left, catch=(DivergedError,), callbacks=[tell])
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise InputError(f"--autotune: none of {num_trials} trials came to an end. Give lower learning rates.")
    return ranges.draw(optuna.trial.FixedTrial(study.best_params), arguments)


def _study(folder: Path, seed: int) -> optuna.Study:
    """The folder's study, or a new one; trials of a process that was killed have failed."""
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STUDY_FILE}",
        study_name="autotune",
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    # A study that goes on with the seed that it began with would draw its first trials again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _require_same(study: optuna.Study, folder: Path, given: Mapping[str, Any]) -> None:
    """Refuse to go on with a study of something else."""
    given = json_ready(given)
    kept = study.user_attrs.get(_SETTING)
    if kept is None:
        study.set_user_attr(_SETTING, given)
        return
    if differs := difference(kept, given):
        raise InputError(
            f"--autotune: {folder / STUDY_FILE} was begun with {differs}. Give the same, or another --output_dir."
        )
