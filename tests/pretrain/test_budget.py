"""Budgets and the schedules that follow them."""

import time

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from design_space.errors import InputError
from pretrain.budget import ENDLESS, Budget, Clock, TimeLimit, schedule_by_time


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        (Budget(), 1000),
        (Budget(max_steps=7), 7),
        (Budget(max_tokens=1), 1),
        (Budget(max_tokens=640), 10),
        (Budget(max_tokens=641), 11),
        (Budget(num_epochs=2), 32),
        (Budget(num_epochs=0.1), 2),
        (Budget(max_seconds=3), ENDLESS),
    ],
)
def test_steps_of_a_budget(budget: Budget, steps: int):
    assert budget.num_steps(tokens_per_step=64, corpus_tokens=1024) == steps


@pytest.mark.parametrize("name", ["max_steps", "max_tokens", "max_seconds"])
@pytest.mark.parametrize("value", [0, -5])
def test_an_empty_budget_is_refused(name: str, value: int):
    with pytest.raises(InputError, match=f"--{name}: must be more than 0, got {value}"):
        Budget(**{name: value})


def test_two_budgets_are_refused():
    with pytest.raises(InputError, match="--max_steps and --max_tokens: must not be given together"):
        Budget(max_steps=5, max_tokens=5)


def test_a_clock_goes_on_from_what_it_showed():
    clock = Clock(100.0)
    assert clock.seconds == 100.0
    clock.start()
    time.sleep(0.01)
    clock.start()
    assert 100.01 <= clock.seconds < 101


def test_time_ends_a_run():
    clock, state, control = Clock(4.0), TrainerState(), TrainerControl()
    TimeLimit(clock, 5.0).on_step_end(None, state, control)
    assert not control.should_training_stop
    TimeLimit(clock, 4.0).on_step_end(None, state, control)
    assert control.should_training_stop
    assert control.should_log


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_schedule_warms_up_and_falls_with_the_time(kind: str, tmp_path):
    passed = [0.0]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    arguments = TrainingArguments(output_dir=str(tmp_path), warmup_steps=0.1, lr_scheduler_type=kind, use_cpu=True)
    schedule = schedule_by_time(arguments, optimizer, lambda: passed[0])
    rates = []
    for share in (0.05, 0.1, 0.55, 1.0, 1.3):
        passed[0] = share
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    assert rates == pytest.approx([1.0, 2.0, 1.0, 0.0, 0.0], abs=0.01)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"warmup_steps": 100}, "--warmup_steps: must be a share below 1 with --max_seconds, got 100"),
        ({"warmup_steps": 0.1, "lr_scheduler_type": "reduce_lr_on_plateau"}, "must be a function of the step"),
    ],
)
def test_what_time_cannot_follow_is_refused(settings: dict, reason: str, tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, eval_strategy="steps", **settings)
    with pytest.raises(InputError, match=reason):
        schedule_by_time(arguments, optimizer, lambda: 0.0)
