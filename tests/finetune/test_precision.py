"""float16 that overflows is noticed within twenty steps, and the run begins again in wider numbers."""

import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

from finetune.precision import StopOnOverflow, without_overflow
from pretrain.callbacks import DivergedError


def steps_until_stopped(weight: float, num_steps: int = 40) -> int | None:
    """Train one weight in float16 with a scaled loss, as a GPU's Trainer does; the step that is the last, if any is."""
    parameter = torch.nn.Parameter(torch.tensor([weight]))
    optimizer = torch.optim.SGD([parameter], lr=1e-3)
    scaler = torch.amp.GradScaler("cpu")
    callback: Any = StopOnOverflow(SimpleNamespace(scaler=scaler))  # type: ignore[arg-type]
    for step in range(1, num_steps + 1):
        scores = parameter.half() * torch.tensor([300.0, 1.0], dtype=torch.float16)
        loss = scores.softmax(-1)[1].float()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        try:
            callback.on_step_end(None, TrainerState(global_step=step, max_steps=num_steps), TrainerControl())
        except DivergedError:
            return step
    return None


def test_a_model_that_overflows_is_caught_in_twenty_steps() -> None:
    found = steps_until_stopped(1000.0)  # 1000 · 300 is beyond float16, and softmax of infinity is no number
    assert found is not None
    assert found <= 20


def test_a_scale_that_was_too_great_at_first_is_no_overflow() -> None:
    assert steps_until_stopped(1.0) is None


@dataclass(frozen=True)
class Arguments:
    """What `without_overflow` reads."""

    fp16: bool = True
    bf16: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cuda"))


def test_the_run_begins_again_in_wider_numbers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("finetune.precision.bf16_supported", lambda: True)
    seen = []

    def train(arguments: Any) -> str:
        seen.append((arguments.fp16, arguments.bf16))
        if arguments.fp16:
            raise DivergedError("float16 overflows at step 17 of 90")
        return "done"

    arguments: Any = Arguments()
    with caplog.at_level(logging.WARNING):
        assert without_overflow(train, arguments) == "done"
    assert seen == [(True, False), (False, True)]
    assert "--fp16: float16 overflows at step 17 of 90; begins again in bfloat16." in caplog.text


def test_a_run_that_diverges_in_float32_is_not_tried_again() -> None:
    def train(_: Any) -> str:
        raise DivergedError("loss is nan")

    arguments: Any = Arguments(fp16=False)
    with pytest.raises(DivergedError, match="loss is nan"):
        without_overflow(train, arguments)
