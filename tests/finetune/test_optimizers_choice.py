"""`--optim` and `--optim_args` make the optimizer that they name, and what they cannot mean is one line."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from design_space.errors import InputError
from finetune.arguments import FinetuneArguments
from finetune.data import TaskData
from finetune.heads.head import Reading
from finetune.optimizers.choice import chosen, read_arguments
from finetune.optimizers.mfac import MFAC
from finetune.tasks import GLUE
from finetune.train import finetune
from finetune.trainer import TaskTrainer

Make = Callable[..., FinetuneArguments]


@pytest.fixture
def made(
    checkpoint: str, separable: TaskData, arguments: Make, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[torch.optim.Optimizer, float]]:
    """The optimizer of a short run, and its loss."""

    def run(**settings: Any) -> tuple[torch.optim.Optimizer, float]:
        found = []
        create = TaskTrainer.create_optimizer

        def watched(self: TaskTrainer, *given: Any) -> torch.optim.Optimizer:
            found.append(create(self, *given))
            return found[-1]

        monkeypatch.setattr(TaskTrainer, "create_optimizer", watched)
        outcome = finetune(checkpoint, GLUE["sst2"], separable, arguments(**settings), Reading(max_seq_length=16))
        monkeypatch.setattr(TaskTrainer, "create_optimizer", create)
        return getattr(found[0], "optimizer", found[0]), outcome.loss or 0.0

    return run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("", {}),
        ("lr=1e-4,num_grads=1024,damp=1e-6", {"lr": 1e-4, "num_grads": 1024, "damp": 1e-6}),
        ('{"lr": 1e-4, "num_grads": 1024, "damp": 1e-6}', {"lr": 1e-4, "num_grads": 1024, "damp": 1e-6}),
        ("warmup=True, dtype=bfloat16 ,offload=none", {"warmup": True, "dtype": "bfloat16", "offload": None}),
    ],
)
def test_arguments_are_read_in_both_forms(text: str | None, expected: dict[str, Any]) -> None:
    assert read_arguments(text) == expected


@pytest.mark.parametrize("text", ["lr", "=3", '{"lr": }', "lr=1,momentum"])
def test_what_is_neither_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="^--optim_args: must be JSON or NAME=VALUE,…, got "):
        read_arguments(text)


@pytest.mark.parametrize("name", ["mfac", "MFAC"])
def test_mfac_is_made_with_its_arguments(made: Callable[..., Any], name: str) -> None:
    optimizer, loss = made(optim=name, optim_args="lr=0.05,num_grads=4,damp=0.01,momentum=0.5", max_steps=3)
    assert isinstance(optimizer, MFAC)
    assert optimizer.damp == 0.01
    assert {group["initial_lr"] for group in optimizer.param_groups} == {0.05}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.01}
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}
    assert optimizer.state_dict()["mfac"]["num_seen"] == 3
    assert loss > 0


def test_mfac_learns_and_the_learning_rate_is_the_flags(made: Callable[..., Any]) -> None:
    optimizer, loss = made(optim="mfac", optim_args="num_grads=16,damp=0.01", learning_rate=2e-2, max_steps=60)
    assert {group["initial_lr"] for group in optimizer.param_groups} == {2e-2}
    assert loss < 0.5  # chance is 0.69


def test_accumulated_batches_are_one_gradient_of_mfac(made: Callable[..., Any]) -> None:
    settings = {"optim": "mfac", "optim_args": "num_grads=4", "max_steps": 3, "gradient_accumulation_steps": 2}
    optimizer, _ = made(per_device_train_batch_size=8, **settings)
    assert optimizer.state_dict()["mfac"]["num_seen"] == 3


def test_layers_have_their_own_rates_with_mfac(made: Callable[..., Any]) -> None:
    optimizer, _ = made(optim="mfac", optim_args="num_grads=4", layerwise_lr_decay=0.5, max_steps=1)
    assert len({group["initial_lr"] for group in optimizer.param_groups}) == 3  # head, layer, embeddings


def test_gradients_that_are_passed_over_are_told(
    checkpoint: str, separable: TaskData, arguments: Make, caplog: pytest.LogCaptureFixture
) -> None:
    class Spoil(TrainerCallback):
        def on_pre_optimizer_step(
            self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
        ) -> None:
            if state.global_step == 1:
                next(kwargs["model"].parameters()).grad[0] = float("nan")

    given = arguments(optim="mfac", optim_args="num_grads=4", max_steps=4, max_grad_norm=0)
    outcome = finetune(checkpoint, GLUE["sst2"], separable, given, Reading(max_seq_length=16), callbacks=[Spoil()])
    assert outcome.num_steps == 4
    assert "sst2, seed 1: 1 of 4 gradients were no finite numbers and were passed over." in caplog.messages


def test_adafactor_finds_its_own_learning_rate_where_asked(made: Callable[..., Any]) -> None:
    settings = "relative_step=true,scale_parameter=true,warmup_init=true"
    optimizer, _ = made(optim="adafactor", optim_args=settings, max_steps=3)
    assert {group["lr"] for group in optimizer.param_groups} != {None}
    assert optimizer.defaults["relative_step"]
    fixed, _ = made(optim="adafactor", max_steps=1, learning_rate=3e-3)
    assert {group["initial_lr"] for group in fixed.param_groups} == {3e-3}


def test_arguments_reach_an_optimizer_of_torch(made: Callable[..., Any]) -> None:
    optimizer, _ = made(optim="sgd", optim_args='{"momentum": 0.9, "nesterov": true}', max_steps=1)
    assert (optimizer.defaults["momentum"], optimizer.defaults["nesterov"]) == (0.9, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"optim": "mfac", "optim_args": "num_grad=4"},
            "must be arguments of mfac, which are lr, num_grads, damp, momentum, weight_decay, dtype, offload, warmup, "
            r"got 'num_grad'\. Did you mean 'num_grads'\?",
        ),
        (
            {"optim": "adamw_torch", "optim_args": "num_grads=4"},
            "must be arguments of adamw_torch, which are lr, ",
        ),
        ({"optim": "adafactor", "optim_args": "relative_step=true,lr=1e-3"}, "must not hold lr with relative_step"),
    ],
    ids=str,
)
def test_arguments_that_an_optimizer_does_not_have_are_refused(
    arguments: Make, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=f"^--optim_args: {message}"):
        chosen(arguments(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optim": "adamw_torch", "optim_args": "betas=1"}, "^--optim_args: adamw_torch cannot be made: "),
        ({"optim": "mfac", "optim_args": "damp=0"}, "^M-FAC damp: must be above 0"),
    ],
    ids=str,
)
def test_values_that_an_optimizer_does_not_take_are_refused(
    made: Callable[..., Any], settings: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        made(**settings)
