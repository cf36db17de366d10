"""The memory of fine-tuning is the sum of its parts, and the command prints them."""

import json
from typing import Any

import pytest

from design_space.errors import InputError
from finetune.__main__ import main
from finetune.memory import GIB, plan


def test_three_billion_parameters_take_what_is_published() -> None:
    full, adapters = plan(3e9), plan(3e9, tuning="adapter", share=0.05)
    assert f"{full.total / GIB:.3f}" == "44.703"
    assert f"{adapters.total / GIB:.3f}" == "13.411"
    assert f"{(full.total - adapters.total) / GIB:.3f}" == "31.292"


@pytest.mark.parametrize(
    ("settings", "bytes_a_parameter"),
    [
        ({}, 16),
        ({"precision": "bf16"}, 18),
        ({"precision": "pure_bf16"}, 8),
        ({"optimizer": "sgd"}, 8),
        ({"optimizer": "sgd_momentum"}, 12),
        ({"optimizer": "adafactor"}, 8),
        ({"tuning": "lora", "share": 0.5}, 12),
        ({"tuning": "head", "share": 0.5}, 10),
    ],
    ids=str,
)
def test_bytes_a_parameter(settings: dict[str, Any], bytes_a_parameter: float) -> None:
    assert plan(1000, **settings).total == bytes_a_parameter * 1000


def test_the_window_of_mfac_holds_its_gradients_and_their_products() -> None:
    found = plan(1000, optimizer="mfac", num_grads=10)
    assert found.window == 10 * 1000 * 4 + 10 * 10 * 8
    assert found.total - found.window == 12 * 1000  # weights, gradients, the preconditioned gradient
    assert plan(1000, optimizer="mfac", num_grads=10, tuning="adapter", share=0.1).window == 4000 + 800


def test_the_command_prints_gib_with_three_decimals(capsys: pytest.CaptureFixture[str]) -> None:
    main(["memory", "--params", "3e9", "--tuning", "adapter", "--adapter_share", "0.05"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["GiB"]
    assert lines[1] == ["weights", "11.176"]
    assert lines[-1] == ["total", "13.411"]


def test_gpus_divide_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    main(["memory", "--params", "3e9", "--gpus", "4", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["total"] == 12e9
    assert found["weights"] == 3e9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--params", "0"], "^--params: must be above 0 and finite, got 0"),
        (["--params", "many"], "argument --params: invalid float value: 'many'"),
        ([], "the following arguments are required: --params"),
        (["--params", "1e6", "--adapter_share", "2"], "^--adapter_share: must be above 0 and at most 1, got 2"),
        (["--params", "1e6", "--optim", "adam"], r"^--optim: must be one of adamw, .*Did you mean 'adamw'\?"),
        (["--params", "1e6", "--tuning", "adaptor"], r"^--tuning: must be one of full, .*Did you mean 'adapter'\?"),
        (["--params", "1e6", "--precision", "int8"], "^--precision: must be one of fp32, bf16"),
        (["--params", "1e6", "--gpus", "0"], "^--gpus: must be at least 1, got 0"),
        (["--params", "1e6", "--num_grads", "1"], "^--num_grads: must be at least 2, got 1"),
        (["--params", "1e6", "--batch", "1"], "unrecognized arguments: --batch 1"),
    ],
)
def test_what_cannot_be_planned_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        main(["memory", *words])
