"""The peak is the larger of backward pass and optimizer's step."""

from typing import Any

import pytest
import torch

from design_space.errors import InputError
from design_space.model.step_memory import Step
from finetune.memory.peak import peak

SHAPES = (torch.Size([10, 20]), torch.Size([50]))
T = 250


def step(most: int, trained: tuple[torch.Size, ...] = SHAPES) -> Step:
    """Of a model of 1,000 parameters whose activations take some bytes before there are gradients."""
    num_trained = sum(shape.numel() for shape in trained)
    moments = ((0, 0), (0, most), (4 * num_trained, 8))
    return Step(num_parameters=1000, trained=trained, weights=4000, gradients=4 * num_trained, kept={}, moments=moments)


def test_many_activations_peak_in_the_backward_pass():
    found = peak(step(10**6))
    assert (found.weights, found.gradients, found.optimizer, found.activations) == (4000, 0, 8 * T, 10**6)
    assert found.total == 4000 + 8 * T + 10**6


@pytest.mark.parametrize(
    ("optimizer", "states", "temporaries"),
    [
        ("sgd", 0, 4 * 200),  # the decayed gradient of the largest parameter
        ("sgd_momentum", 4 * T, 4 * 200),
        ("mfac", 0, 4 * T),  # the preconditioned gradient
    ],
)
def test_few_activations_peak_in_the_step(optimizer: str, states: int, temporaries: int):
    found = peak(step(100), optimizer=optimizer, num_grads=3)
    assert (found.gradients, found.optimizer, found.temporaries) == (4 * T, states, temporaries)
    assert found.activations == 0
    assert found.window == (3 * (T * 4 + 3 * 8) if optimizer == "mfac" else 0)


def test_adafactor_keeps_rows_and_columns_and_makes_copies():
    found = peak(step(0), optimizer="adafactor")
    assert 4 * (10 + 20 + 50) <= found.optimizer < 4 * (10 + 20 + 50) + 100
    assert found.temporaries >= 4 * 200


def test_a_gpu_decays_all_gradients_together():
    assert peak(step(100), optimizer="sgd", device="cuda").temporaries == 4 * T


def test_gpus_share_all_but_the_activations():
    one, four = (peak(step(10**6), num_gpus=number) for number in (1, 4))
    assert four.weights == one.weights / 4
    assert four.optimizer == one.optimizer / 4
    assert four.activations == one.activations
    in_step = peak(step(0), optimizer="mfac", num_grads=2, num_gpus=4)
    assert (in_step.gradients, in_step.temporaries, in_step.window) == (T, T, 2 * (T * 4 + 2 * 8) / 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adam"}, "^--optim: must be one of"),
        ({"num_grads": 1}, "^--num_grads: must be at least 2"),
        ({"precision": "int8"}, "^--precision: must be one of"),
    ],
)
def test_unknown_names_and_numbers_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        peak(step(0), **settings)
