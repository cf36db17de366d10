"""The memory of fine-tuning is the sum of its parts, and the command prints them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from design_space.errors import InputError
from finetune.__main__ import main
from finetune.memory.plan import GIB, plan


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
    assert lines[-2] == ["activations", "not", "counted"]
    assert lines[-1] == ["total", "13.411"]


def test_gpus_divide_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    main(["memory", "--params", "3e9", "--gpus", "4", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["total"] == 12e9
    assert found["weights"] == 3e9
    assert found["activations"] is None


def json_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main(["memory", "--device", "cpu", "--json", *words])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_checkpoint_is_planned_by_its_configuration_alone(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(Path(checkpoint) / "config.json", tmp_path)
    words = ["--model_name_or_path", str(tmp_path), "--max_seq_length", "16"]
    one = json_of(capsys, *words, "--per_device_train_batch_size", "64")
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert one["weights"] > 4 * 32 * config["vocab_size"]
    assert list(one["kept"]) == ["layers.0", "embeddings and head"]
    two = json_of(capsys, *words, "--per_device_train_batch_size", "128")
    assert two["kept"]["layers.0"] == pytest.approx(2 * one["kept"]["layers.0"], rel=0.01)
    assert two["activations"] > 1.9 * one["activations"]
    assert two["weights"] == one["weights"]


def test_an_architecture_is_planned_with_its_tokenizer(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model_dict", "flexibert_mini", "--per_device_train_batch_size", "2", "--max_seq_length", "32"]
    small, large = (json_of(capsys, *words, "--vocab_size", size) for size in ("1000", "2000"))
    assert large["weights"] - small["weights"] == 1000 * 256 * 4
    lower = json_of(capsys, *words, "--vocab_size", "1000", "--gradient_checkpointing")
    assert sum(lower["kept"].values()) < sum(small["kept"].values())
    shared = json_of(capsys, *words, "--vocab_size", "1000", "--gpus", "2")
    assert shared["weights"] == small["weights"] / 2


def test_the_table_has_the_peak_and_a_line_a_layer(capsys: pytest.CaptureFixture[str]) -> None:
    main(["memory", "--device", "cpu", "--model_dict", "bert_tiny", "--max_seq_length", "32"])
    text = capsys.readouterr().out
    assert re.search(r"^total, in the backward pass +0\.\d{3}$", text, re.MULTILINE)
    assert [line.split()[0] for line in text.splitlines() if line.startswith("layers.")] == ["layers.0", "layers.1"]
    words = ["--per_device_train_batch_size", "1", "--max_seq_length", "2", "--optim", "sgd"]
    main(["memory", "--device", "cpu", "--model_dict", "bert_tiny", *words])
    assert "total, in the optimizer's step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--params", "0"], "^--params: must be above 0 and finite, got 0"),
        (["--params", "many"], "argument --params: invalid float value: 'many'"),
        ([], "one of the arguments --params --model_name_or_path --model_dict is required"),
        (["--params", "1e6", "--model_dict", "bert_mini"], "argument --model_dict: not allowed with argument --params"),
        (["--params", "1e6", "--max_seq_length", "64"], "^--max_seq_length: needs a model"),
        (["--params", "1e6", "--gradient_checkpointing"], "^--gradient_checkpointing: needs a model"),
        (["--params", "1e6", "--vocab_size", "1000"], "^--vocab_size: belongs to --model_dict"),
        (["--model_dict", "bert_mni"], r"^--model_dict: must be one of .* Did you mean 'bert_mini'\?"),
        (["--model_dict", "bert_mini", "--vocab_size", "9"], "^--vocab_size: must be at least 261, got 9"),
        (["--model_dict", "bert_mini", "--max_seq_length", "0"], "^--max_seq_length: must be at least 1, got 0"),
        (["--model_dict", "bert_mini", "--optim", "adam"], "^--optim: must be one of adamw"),
        (["--model_dict", "bert_mini", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["--model_name_or_path", "./absent"], "^model: './absent' does not exist"),
        (
            ["--params", "1e6", "--adapter_share", "0.1"],
            "^--adapter_share: is for light-weight tuning, got",
        ),
        (["--params", "1e6", "--num_grads", "64"], "^--num_grads: is for --optim mfac, got --optim adamw"),
        (
            ["--params", "1e6", "--tuning", "lora", "--adapter_share", "2"],
            "^--adapter_share: must be above 0 and at most 1",
        ),
        (["--params", "1e6", "--optim", "adam"], r"^--optim: must be one of adamw, .*Did you mean 'adamw'\?"),
        (["--params", "1e6", "--tuning", "adaptor"], r"^--tuning: must be one of full, .*Did you mean 'adapter'\?"),
        (["--params", "1e6", "--precision", "int8"], "^--precision: must be one of fp32, bf16"),
        (["--params", "1e6", "--gpus", "0"], "^--gpus: must be at least 1, got 0"),
        (["--params", "1e6", "--optim", "mfac", "--num_grads", "1"], "^--num_grads: must be at least 2, got 1"),
        (["--params", "1e6", "--batch", "1"], "unrecognized arguments: --batch 1"),
    ],
)
def test_what_cannot_be_planned_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        main(["memory", *words])
