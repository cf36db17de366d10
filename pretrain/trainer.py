"""The transformers Trainer with checkpoints that are whole, a schedule that may follow the clock, and exact resume."""

import json
import os
import shutil
from collections.abc import Sized
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch.utils.data import Dataset
from transformers import Trainer

from pretrain.budget import Clock, schedule_by_time
from pretrain.checkpoints import PARTIAL, cannot_be_written, keep_newest
from pretrain.collate import IGNORED_LABEL
from pretrain.reading import HeldOutBlocks

CLOCK_FILE = "clock.json"


class PretrainTrainer(Trainer):
    """Trains from a step on, as if the steps before it had been made here.

    Args:
        clock: Of the run; kept with each checkpoint.
        max_seconds: Budget, where time decides.
        max_checkpoint_bytes: Of all checkpoints together; None: no limit.
        **kwargs: Of the Trainer.
    """

    def __init__(
        self, *, clock: Clock, max_seconds: float | None, max_checkpoint_bytes: int | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._clock = clock
        self._max_seconds = max_seconds
        self._max_checkpoint_bytes = max_checkpoint_bytes
        self._is_saving = False
        self._random_state_of: str | None = None

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The Trainer's own, or one that follows the clock."""
        max_seconds = self._max_seconds
        if max_seconds is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        chosen = optimizer or self.optimizer
        assert chosen is not None
        self.lr_scheduler = schedule_by_time(self.args, chosen, lambda: self._clock.seconds / max_seconds)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> torch.utils.data.Sampler[int]:
        """One after the other: the data set is in the order of the reading already."""
        return torch.utils.data.SequentialSampler(cast(Sized, train_dataset or self.train_dataset))

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Held-out loss: the mean over all tokens that are predicted, whatever the batches and processes."""
        model, data = cast(torch.nn.Module, self.model), cast(HeldOutBlocks, self.eval_dataset)
        was_training, size = model.training, self.args.per_device_eval_batch_size
        model.eval()
        total = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        own = range(self.args.process_index, len(data), self.args.world_size)
        for start in range(0, len(own), size):
            examples: list[Any] = [data[row] for row in own[start : start + size]]
            batch = self._prepare_inputs(self.data_collator(examples))
            num_predicted = (batch["labels"] != IGNORED_LABEL).sum()
            with torch.no_grad(), self.compute_loss_context_manager():
                loss = model(**batch).loss
            total += torch.stack([loss * num_predicted, num_predicted])
        model.train(was_training)
        total = self.accelerator.reduce(total)
        metrics = {"eval_loss": float(total[0] / total[1])}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Note whose: beginning to read batches draws a number, so the state comes back after that."""
        self._random_state_of = checkpoint

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The next batches; before the first of a resumed run is used, its random state is back."""
        found = super().get_batch_samples(*args, **kwargs)
        if self._random_state_of is not None:
            super()._load_rng_state(self._random_state_of)
            self._random_state_of = None
        return found

    def _get_output_dir(self, trial: Any) -> str:
        folder = super()._get_output_dir(trial)
        return os.path.join(folder, PARTIAL) if self._is_saving else folder

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Write into `.partial/`, then rename.

        Raises:
            InputError: If it cannot be written; earlier checkpoints stay as they are.
        """
        folder = Path(super()._get_output_dir(trial))
        partial, name = folder / PARTIAL, f"checkpoint-{self.state.global_step}"
        self._is_saving = True
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                (partial / name / CLOCK_FILE).write_text(json.dumps({"seconds": self._clock.seconds}), "utf-8")
                _flush(partial / name)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise cannot_be_written(folder, f"the checkpoint of step {self.state.global_step}", error) from error
        finally:
            self._is_saving = False
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            shutil.rmtree(folder / name, ignore_errors=True)  # of a run that is repeated
            os.replace(partial / name, folder / name)
            shutil.rmtree(partial)
            keep_newest(folder, self.args.save_total_limit, self._max_checkpoint_bytes)
        self.accelerator.wait_for_everyone()


def seconds_before(checkpoint: Path) -> float:
    """What the clock showed when a checkpoint was written; 0 where it does not say."""
    path = checkpoint / CLOCK_FILE
    return float(json.loads(path.read_text("utf-8"))["seconds"]) if path.is_file() else 0.0


def _flush(folder: Path) -> None:
    """Hand every file to the disk: a full one says so here at the latest."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
