"""The transformers Trainer with the orders, rates and losses of `FinetuneArguments`."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset, Sampler
from transformers import EarlyStoppingCallback, PreTrainedModel, PrinterCallback, ProgressCallback, Trainer
from transformers.optimization import AdafactorSchedule
from transformers.trainer_utils import PredictionOutput, TrainOutput

from design_space.errors import InputError, first_line
from finetune.arguments import FinetuneArguments
from finetune.metrics import task_score
from finetune.optimizers.choice import OURS, chosen, name_of
from finetune.optimizers.groups import parameter_groups
from finetune.precision import StopOnOverflow
from finetune.sampler import StratifiedSampler
from pretrain.callbacks import ProgressReport, StopOnDivergence

Loss = Callable[..., Tensor]


class HeadTrainer(Trainer):
    """Asks a model for the outputs that its head reads.

    Args:
        generates: Whether these are ids that it generates, as its generation config says, not its logits.
        **kwargs: Of the Trainer.
    """

    def __init__(self, *, generates: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._generates = generates

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[Tensor | None, Any, Any]:
        """Loss, outputs and labels of a batch; where the model generates the ids alone, (rows, tokens)."""
        if not self._generates:
            return super().prediction_step(model, inputs, *args, **kwargs)
        given = {name: self._prepare_input(inputs[name]) for name in ("input_ids", "attention_mask")}
        with self.compute_loss_context_manager():
            return None, cast(Any, self.model).generate(**given), None


class TaskTrainer(HeadTrainer):
    """Trains on the rows of one task.

    Args:
        args: Of the run.
        score: Metrics of the outputs for `eval_dataset`.
        title: Of its progress.
        **kwargs: Of the Trainer, and `generates`.
    """

    args: FinetuneArguments

    def __init__(
        self, *, args: FinetuneArguments, score: Callable[[Any], dict[str, float]], title: str = "", **kwargs: Any
    ) -> None:
        super().__init__(args=args, **kwargs)
        if self.compute_loss_func is None:
            # The Trainer believes that models which take any argument divide their loss by the items that it counts;
            # those with a head for a task take the mean of the batch.
            self.model_accepts_loss_kwargs = False
        self._score = score
        lengths = [_length(feature) for feature in cast(Any, self.eval_dataset) or ()]
        self._longest_first = np.argsort(-np.array(lengths, dtype=np.int64), kind="stable")
        self._progress: ProgressReport | None = None
        for printer in (ProgressCallback, PrinterCallback):
            self.remove_callback(printer)
        if not args.disable_tqdm and self.is_world_process_zero():
            rows = self._train_batch_size * args.gradient_accumulation_steps * args.world_size
            self._progress = ProgressReport(
                rows, lambda state: state.global_step / state.max_steps, unit="rows", title=title
            )
            self.add_callback(self._progress)
        # First batches may be easy by chance, and the loss of labels begins near its end: only far above is diverged.
        self.add_callback(StopOnDivergence(factor=2.0))
        self.add_callback(StopOnOverflow(self.accelerator))
        if args.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(args.early_stopping_patience))

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int] | None:
        if self.args.train_sampling_strategy != "stratified":
            return super()._get_train_sampler(train_dataset)
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        return StratifiedSampler([row["labels"] for row in rows], self.args.seed)

    def _get_eval_sampler(self, eval_dataset: Dataset[Any]) -> Sampler[int]:
        """The longest rows first, so that little is padded; `outputs` puts them back."""
        return cast(Sampler[int], self._longest_first.tolist())

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        """Train; the progress is taken away, whatever happens."""
        try:
            return super().train(*args, **kwargs)
        finally:
            if self._progress is not None:
                self._progress.close()

    def outputs(self) -> Any:
        """The model's outputs for `eval_dataset`, in its order; padded with −100 where they differ in length."""
        return self._in_order(self.predict(cast(Dataset[Any], self.eval_dataset), metric_key_prefix="eval"))

    def _in_order(self, output: PredictionOutput) -> Any:
        """Outputs as the rows stand in `eval_dataset`; one array, or several."""
        places = np.argsort(self._longest_first)
        parts = output.predictions
        return tuple(part[places] for part in parts) if isinstance(parts, tuple) else parts[places]

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Metrics of `eval_dataset`, and `eval_score`, the mean of them times 100."""
        output = self.predict(cast(Dataset[Any], self.eval_dataset), metric_key_prefix="eval")
        metrics = self._score(self._in_order(output))
        found = dict(output.metrics or {}) | {f"eval_{name}": value for name, value in metrics.items()}
        found["eval_score"] = task_score(metrics)
        self.log(found)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """That which `--optim` names, with a learning rate a layer where that was asked for."""
        args, trained = self.args, cast(PreTrainedModel, model or self.model)
        is_ours = args.optim in OURS
        if self.optimizer is None and (is_ours or args.layerwise_lr_decay < 1 or args.head_learning_rate is not None):
            kind, settings = chosen(args) if is_ours else self.get_optimizer_cls_and_kwargs(args, trained)
            rate = settings.pop("lr", args.learning_rate)
            groups = parameter_groups(
                self.accelerator.unwrap_model(trained),
                learning_rate=args.learning_rate if rate is None else rate,
                weight_decay=settings.pop("weight_decay", args.weight_decay),
                decayed=self.get_decay_parameter_names(trained),
                layerwise_lr_decay=args.layerwise_lr_decay,
                head_learning_rate=args.head_learning_rate,
            )
            if rate is None:  # Adafactor finds its own
                groups = [{**group, "lr": None} for group in groups]
            try:
                self.optimizer = cast(Any, kind)(groups, **settings, lr=rate)
            except InputError:
                raise
            except (TypeError, ValueError) as error:
                raise InputError(f"--optim_args: {name_of(args)} cannot be made: {first_line(error)}.") from None
        return super().create_optimizer(model)

    @property
    def own_optimizer(self) -> torch.optim.Optimizer | None:
        """The optimizer without what accelerate wraps it in; None before it is made."""
        return cast("torch.optim.Optimizer | None", getattr(self.optimizer, "optimizer", self.optimizer))

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The Trainer's own; none where Adafactor finds its learning rates."""
        own = self.own_optimizer
        if self.lr_scheduler is None and own is not None and own.defaults.get("relative_step"):
            self.lr_scheduler = AdafactorSchedule(own)
        return super().create_scheduler(num_training_steps, optimizer)


def _length(feature: Mapping[str, Any]) -> int:
    """Tokens of an input, or of its longest choice."""
    tokens = feature["input_ids"]
    return len(tokens) if np.isscalar(tokens[0]) else max(map(len, tokens))


def token_loss(label_smoothing: float) -> Loss:
    """Cross-entropy over the tokens of texts, whose mean is taken over all tokens of accumulated batches.

    The models' own loss, as that of T5, is the mean over one batch, which the Trainer would add up.

    Args:
        label_smoothing: Share of the truth that is spread over the vocabulary, in [0, 1).

    Returns:
        A function as the Trainer's `compute_loss_func`.
    """

    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        logits = outputs["logits"].float().flatten(0, 1)
        total = F.cross_entropy(logits, labels.flatten(), label_smoothing=label_smoothing, reduction="sum")
        return total / (labels.ne(-100).sum() if num_items_in_batch is None else num_items_in_batch)

    return loss


def weighted_loss(weights: Tensor, label_smoothing: float) -> Loss:
    """Cross-entropy in which labels weigh differently.

    Args:
        weights: One a label, shape (labels,).
        label_smoothing: Share of the truth that is spread over all labels, in [0, 1).

    Returns:
        A function as the Trainer's `compute_loss_func`.
    """

    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        logits = outputs["logits"].float()
        kind = weights.to(logits)
        if num_items_in_batch is None:
            return F.cross_entropy(logits, labels, kind, label_smoothing=label_smoothing)
        total = F.cross_entropy(logits, labels, kind, label_smoothing=label_smoothing, reduction="sum")
        return total / num_items_in_batch

    return loss


def balanced_weights(labels: list[int], num_labels: int) -> Tensor:
    """Weights that make every label count the same: rows over (labels × rows with this label), 0 for absent ones.

    Example:
        >>> balanced_weights([0, 0, 0, 1], 2)
        tensor([0.6667, 2.0000])
    """
    counts = np.bincount(labels, minlength=num_labels)
    present = np.count_nonzero(counts)
    return torch.tensor(np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 0.0), dtype=torch.float32)
