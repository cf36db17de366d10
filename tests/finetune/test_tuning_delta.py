"""What light-weight tuning trained: kept small, put back into its base model, merged where that can be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    RobertaConfig,
    RobertaModel,
    TrainerCallback,
    set_seed,
)

from design_space.errors import InputError
from finetune.__main__ import main
from finetune.arguments import FinetuneArguments
from finetune.checkpoint import load_checkpoint
from finetune.data import TaskData
from finetune.heads.head import Reading
from finetune.tasks import GLUE, SUPERGLUE, TEXT_TASKS
from finetune.train import finetune
from finetune.tuning.delta import read_delta

METHODS = ("adapter", "lora", "prompt", "prefix", "head", "bitfit")
SST2 = GLUE["sst2"]


@pytest.fixture
def trained(
    checkpoint: str, separable: TaskData, arguments: Callable[..., FinetuneArguments], tmp_path: Path
) -> Callable[..., tuple[str, float]]:
    """Trainer of a checkpoint by one way of tuning; the folder of what it left, and the score."""

    def train(method: str, base: str = checkpoint, **settings: Any) -> tuple[str, float]:
        folder = str(tmp_path / method)
        given = arguments(tuning=method, num_virtual_tokens=4, **{"max_steps": 4} | settings)
        return folder, finetune(base, SST2, separable, given, save_to=folder).score

    return train


def logits(folder: str) -> torch.Tensor:
    model, tokenizer = load_checkpoint(folder, SST2, needs_head=True)
    texts = tokenizer(["the sad dog slept .", "the happy bird sang ."], return_tensors="pt", padding=True)
    with torch.no_grad():
        found: torch.Tensor = model.eval()(**texts).logits
    return found


class Keep(TrainerCallback):
    """Keeps the model that was trained."""

    model: Any = None

    def on_train_end(self, *_: Any, model: Any = None, **__: Any) -> None:
        self.model = model


def save_roberta(folder: Path, checkpoint: str, **settings: Any) -> str:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    set_seed(3)
    config = RobertaConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **sizes)
    RobertaModel(config).to(**settings).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("kind", "method"),
    [("flexibert", method) for method in METHODS]
    + [(kind, method) for kind in ("roberta", "bfloat16") for method in ("adapter", "lora", "prefix", "bitfit")]
    + [("t5", method) for method in ("adapter", "lora", "prompt", "prefix", "head")],
)
def test_what_was_trained_is_put_back(
    kind: str,
    method: str,
    checkpoint: str,
    t5: str,
    separable: TaskData,
    arguments: Callable[..., FinetuneArguments],
    tmp_path: Path,
) -> None:
    """Logits are those of the trained model, whatever the seed is when it is put together again."""
    dtype = torch.bfloat16 if kind == "bfloat16" else torch.float32
    base = {"flexibert": checkpoint, "t5": t5}.get(kind) or save_roberta(tmp_path / "base", checkpoint, dtype=dtype)
    keep, folder = Keep(), str(tmp_path / "kept")
    given = arguments(tuning=method, num_virtual_tokens=4, max_steps=4)
    finetune(base, SST2, separable, given, save_to=folder, callbacks=[keep])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = tokenizer(["the sad dog slept .", "the happy bird sang ."], return_tensors="pt", padding=True)
    texts.pop("token_type_ids", None)
    set_seed(99)
    model, _ = load_checkpoint(folder, SST2, needs_head=True)
    with torch.no_grad():
        found, expected = (one.eval()(**texts).logits for one in (model, keep.model))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert read_delta(folder).tuning.method == method


@pytest.mark.parametrize("method", METHODS)
def test_only_what_was_trained_is_kept(method: str, trained: Any, checkpoint: str) -> None:
    folder, _ = trained(method)
    kept = sum(tensor.numel() for tensor in load_file(Path(folder, "delta.safetensors")).values())
    whole = sum(tensor.numel() for tensor in load_file(Path(checkpoint, "model.safetensors")).values())
    assert kept < whole / 3
    assert not Path(folder, "model.safetensors").exists()
    assert not list(Path(folder).glob("*.py"))


@pytest.mark.parametrize("method", METHODS)
def test_learning_by_little_solves_an_easy_task(method: str, trained: Any) -> None:
    rate = 5e-2 if method in ("head", "prompt", "bitfit") else 2e-2
    _, score = trained(method, max_steps=80, learning_rate=rate)
    assert score > 90


@pytest.mark.parametrize("method", ["lora", "head", "bitfit"])
def test_a_merged_model_stands_alone(method: str, trained: Any, tmp_path: Path) -> None:
    folder, _ = trained(method)
    expected = logits(folder)
    main(["merge", folder, "--to", str(tmp_path / "merged")])
    torch.testing.assert_close(logits(str(tmp_path / "merged")), expected, atol=1e-5, rtol=1e-4)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert not any("lora" in name for name, _ in model.named_modules())


def test_a_merged_t5_writes_as_its_run_did(
    t5: str, colours: TaskData, arguments: Callable[..., FinetuneArguments], tmp_path: Path
) -> None:
    folder, reading = str(tmp_path / "kept"), Reading(max_target_length=5, num_beams=2)
    given = arguments(tuning="lora", max_steps=4)
    finetune(t5, TEXT_TASKS["closed_book_qa"], colours, given, reading, save_to=folder)
    main(["merge", folder, "--to", str(tmp_path / "merged")])
    small, _ = load_checkpoint(folder, TEXT_TASKS["closed_book_qa"], needs_head=True)
    merged = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "merged")
    for model in (small, merged):
        assert (model.generation_config.max_new_tokens, model.generation_config.num_beams) == (5, 2)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    batch = tokenizer([row["question"] for row in colours.train], padding=True, return_tensors="pt")
    assert merged.generate(**batch).tolist() == small.eval().generate(**batch).tolist()


def test_memory_is_not_planned_for_what_is_not_trained(trained: Any) -> None:
    folder, _ = trained("adapter")
    with pytest.raises(InputError, match="^memory: .* is not trained further, only '.*checkpoint.*' is. Give that"):
        main(["memory", "--model_name_or_path", folder])


def test_merging_says_what_it_wrote(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = trained("lora")
    main(["merge", folder, "--to", str(tmp_path / "merged"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == str(tmp_path / "merged")


@pytest.mark.parametrize("method", ["adapter", "prompt", "prefix"])
def test_what_no_weight_can_compute_is_not_merged(method: str, trained: Any, tmp_path: Path) -> None:
    folder, _ = trained(method)
    with pytest.raises(InputError, match=f"^merge: is for lora, head, bitfit, this was tuned by {method}"):
        main(["merge", folder, "--to", str(tmp_path / "merged")])
    assert not (tmp_path / "merged").exists()


def test_merging_refuses_other_folders(trained: Any, checkpoint: str, tmp_path: Path) -> None:
    folder, _ = trained("lora")
    with pytest.raises(InputError, match="^merge: .* must hold what light-weight tuning left, does not"):
        main(["merge", checkpoint, "--to", str(tmp_path / "merged")])
    with pytest.raises(InputError, match="^--to: .* exists. Give another folder"):
        main(["merge", folder, "--to", folder])


def test_the_best_epoch_is_kept_of_a_small_part_too(
    trained: Any, separable: TaskData, arguments: Callable[..., FinetuneArguments]
) -> None:
    settings = {"early_stopping_patience": 1, "max_steps": -1, "num_train_epochs": 4, "learning_rate": 0.5}
    folder, score = trained("prefix", **settings)  # too fast to end well
    again = finetune(folder, SST2, separable, arguments(), trains=False)
    assert again.score == pytest.approx(score)


def test_a_small_part_is_not_trained_further(
    trained: Any, separable: TaskData, arguments: Callable[..., FinetuneArguments]
) -> None:
    folder, _ = trained("adapter")
    with pytest.raises(InputError, match="holds what was trained beside .*, which is not trained further"):
        finetune(folder, SST2, separable, arguments())


def test_other_weights_of_the_base_are_refused(trained: Any, checkpoint: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(checkpoint, base)
    folder, _ = trained("adapter", base=str(base))
    weights = load_file(base / "model.safetensors")
    name = next(name for name in weights if "feed_forward" in name and name.endswith("weight"))
    weights[name] = weights[name] + 1e-3
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="was trained beside other weights than .*base has now"):
        load_checkpoint(folder, SST2, needs_head=True)


def test_a_base_that_is_gone_is_named_and_where_its_place_stands(trained: Any, checkpoint: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(checkpoint, base)
    folder, _ = trained("lora", base=str(base))
    shutil.rmtree(base)
    with pytest.raises(InputError, match=r"was trained beside '.*base', which is not there.*tuning\.json"):
        load_checkpoint(folder, SST2, needs_head=True)


def test_another_task_is_refused(trained: Any) -> None:
    folder, _ = trained("lora")
    with pytest.raises(InputError, match="must have a head for mnli .*has one of 2 outputs"):
        load_checkpoint(folder, GLUE["mnli"], needs_head=True)
    with pytest.raises(InputError, match="must fit .* with a head of this task, does not"):
        load_checkpoint(folder, SUPERGLUE["copa"], needs_head=True)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tuning.json", b"{", "tuning.json: must say how a model was tuned"),
        (
            "tuning.json",
            b'{"base_model": "x", "base_checksum": 1, "problem": "answer", "tuning": {"method": "x"}}',
            "tuning.json: must say how a model was tuned",
        ),
        ("delta.safetensors", b"nothing", "delta.safetensors: cannot be read"),
    ],
)
def test_damaged_files_are_refused(file: str, content: bytes, message: str, trained: Any) -> None:
    folder, _ = trained("head")
    Path(folder, file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder, SST2, needs_head=True)


def test_labels_in_another_order_go_by_their_names(trained: Any, tmp_path: Path) -> None:
    """As for a whole model: the head's rows follow the task's order."""
    folder, _ = trained("lora")
    before = logits(folder)
    config = json.loads(Path(folder, "config.json").read_text())
    config["id2label"] = {"0": "positive", "1": "negative"}
    config["label2id"] = {"positive": 0, "negative": 1}
    Path(folder, "config.json").write_text(json.dumps(config))
    torch.testing.assert_close(logits(folder), before.flip(-1))
