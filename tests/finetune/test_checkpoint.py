"""Encoders of any kind get a head for the task; what is none is told in one line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AlbertConfig,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BartConfig,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    PretrainedConfig,
    RobertaConfig,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
    ViTConfig,
)

from design_space.errors import InputError
from finetune import checkpoint as module
from finetune import loaded
from finetune.arguments import FinetuneArguments
from finetune.checkpoint import label_names, load_checkpoint
from finetune.data import TaskData
from finetune.heads.head import Reading
from finetune.tasks import GLUE, SQUAD, SUPERGLUE, TEXT_TASKS
from finetune.train import finetune

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
}


def save(config: PretrainedConfig, tokenizer_of: str, folder: Path) -> str:
    AutoModel.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(tokenizer_of) / name, folder / name)
    return str(folder)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: BertConfig(vocab_size=size, **SMALL),
        lambda size: RobertaConfig(vocab_size=size, **SMALL | {"max_position_embeddings": 66}),
        lambda size: ElectraConfig(vocab_size=size, embedding_size=8, **SMALL),
        lambda size: AlbertConfig(vocab_size=size, embedding_size=8, **SMALL),
        lambda size: DistilBertConfig(
            vocab_size=size, dim=16, n_layers=1, n_heads=2, hidden_dim=16, max_position_embeddings=64
        ),
        lambda size: DebertaV2Config(vocab_size=size, **SMALL),
    ],
    ids=["bert", "roberta", "electra", "albert", "distilbert", "deberta"],
)
def test_encoders_of_other_kinds_are_fine_tuned(
    make: Callable[[int], PretrainedConfig],
    checkpoint: str,
    separable: TaskData,
    arguments: Callable[..., FinetuneArguments],
    tmp_path: Path,
) -> None:
    size = len(AutoTokenizer.from_pretrained(checkpoint))
    folder = save(make(size), checkpoint, tmp_path / "other")
    result = finetune(folder, GLUE["sst2"], separable, arguments(max_steps=3))
    assert result.num_steps == 3
    assert 0 <= result.metrics["accuracy"] <= 1


def test_labels_are_named_in_the_configuration(checkpoint: str) -> None:
    model, _ = load_checkpoint(checkpoint, GLUE["mnli"])
    assert model.config.id2label == {0: "entailment", 1: "neutral", 2: "contradiction"}
    assert load_checkpoint(checkpoint, GLUE["stsb"])[0].config.num_labels == 1


@pytest.mark.parametrize("task", [SUPERGLUE["copa"], SQUAD["squad"]], ids=["copa", "squad"])
def test_choices_and_answers_have_their_own_heads(checkpoint: str, task: module.Task) -> None:
    model, _ = load_checkpoint(checkpoint, task)
    assert (
        type(model).__name__
        == {"copa": "FlexiBertForMultipleChoice", "squad": "FlexiBertForQuestionAnswering"}[task.name]
    )


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, checkpoint: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, message in {
        str(tmp_path / "absent"): "does not exist. Give a folder, or a hub name as owner/name",
        "./absent": "does not exist",
        "runs/x/best": "does not exist",
        str(tmp_path / "empty"): "must hold config.json, does not",
        str(tmp_path / "file"): "must be a folder, is a file",
    }.items():
        with pytest.raises(InputError, match=message):
            load_checkpoint(name, GLUE["sst2"])


def test_a_checkpoint_that_reads_no_text_is_refused(tmp_path: Path, checkpoint: str) -> None:
    config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32)
    folder = save(config, checkpoint, tmp_path / "vision")
    with pytest.raises(InputError, match=r"^model: .* cannot be loaded: Unrecognized configuration class"):
        load_checkpoint(folder, GLUE["sst2"])


def test_weights_that_are_damaged_are_refused(tmp_path: Path, checkpoint: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"^model: .*damaged.* cannot be loaded: "):
        load_checkpoint(str(folder), GLUE["sst2"])


def test_weights_of_another_kind_are_refused(tmp_path: Path, checkpoint: str) -> None:
    size = len(AutoTokenizer.from_pretrained(checkpoint))
    other = save(
        DistilBertConfig(vocab_size=size, dim=16, n_layers=1, n_heads=2, hidden_dim=16, max_position_embeddings=64),
        checkpoint,
        tmp_path,
    )
    (tmp_path / "config.json").write_text(json.dumps(BertConfig(vocab_size=size, **SMALL).to_dict()))
    with pytest.raises(InputError, match=r"must hold the weights of its BertModel, lacks \d+ of them, such as bert\."):
        load_checkpoint(other, GLUE["sst2"])


def test_weights_of_other_shapes_are_refused(tmp_path: Path, checkpoint: str) -> None:
    size = len(AutoTokenizer.from_pretrained(checkpoint))
    other = save(BertConfig(vocab_size=size, **SMALL), checkpoint, tmp_path)
    wider = BertConfig(vocab_size=size, **SMALL | {"intermediate_size": 32})
    (tmp_path / "config.json").write_text(json.dumps(wider.to_dict()))
    with pytest.raises(InputError, match="cannot be loaded: its weights do not have the shapes that config.json says"):
        load_checkpoint(other, GLUE["sst2"])


@pytest.fixture
def with_head(checkpoint: str, tmp_path: Path) -> Callable[[PretrainedConfig], str]:
    """Saver of an encoder that has a head for three labels."""

    def make(config: PretrainedConfig) -> str:
        folder = save(config, checkpoint, tmp_path / "with_head")
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        return folder

    return make


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged here, not by transformers."""
    return [record.getMessage() for record in caplog.records if record.name == loaded.__name__]


def bert(size: int, **changes: int) -> PretrainedConfig:
    return BertConfig(vocab_size=size, num_labels=3, **SMALL | changes)


def roberta(size: int) -> PretrainedConfig:
    return RobertaConfig(vocab_size=size, num_labels=3, **SMALL)


@pytest.mark.parametrize(
    ("make", "task"),
    [(bert, GLUE["rte"]), (bert, GLUE["stsb"]), (bert, SUPERGLUE["copa"]), (roberta, GLUE["rte"])],
    ids=["bert-rte", "bert-stsb", "bert-copa", "roberta-rte"],
)
def test_a_head_of_another_size_is_made_anew_and_the_encoder_is_kept(
    make: Callable[[int], PretrainedConfig],
    task: module.Task,
    checkpoint: str,
    with_head: Callable[[PretrainedConfig], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = with_head(make(len(AutoTokenizer.from_pretrained(checkpoint))))
    saved = load_file(Path(folder) / "model.safetensors")
    model, _ = load_checkpoint(folder, task)
    fresh = {name for name, weight in saved.items() if weight.shape[:1] == (3,)}
    weights = model.state_dict()
    assert all(torch.equal(weights[name], weight) for name, weight in saved.items() if name not in fresh)
    assert {weights[name].shape[0] for name in fresh} == {task.num_outputs}
    assert all(torch.isfinite(weights[name]).all() for name in fresh)
    assert told(caplog) == [
        f"model: {folder!r} has a head of 3 outputs, {task.name} needs {task.num_outputs}: "
        "its output layer starts afresh."
    ]


def test_a_head_of_the_same_size_is_kept(
    checkpoint: str, with_head: Callable[[PretrainedConfig], str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = with_head(bert(len(AutoTokenizer.from_pretrained(checkpoint))))
    weight = load_checkpoint(folder, GLUE["mnli"])[0].state_dict()["classifier.weight"]
    assert torch.equal(weight, load_file(Path(folder) / "model.safetensors")["classifier.weight"])
    assert told(caplog) == []


def test_an_encoder_of_other_shapes_is_refused_though_its_head_is_another_too(
    checkpoint: str, with_head: Callable[[PretrainedConfig], str], caplog: pytest.LogCaptureFixture
) -> None:
    size = len(AutoTokenizer.from_pretrained(checkpoint))
    folder = with_head(bert(size))
    (Path(folder) / "config.json").write_text(json.dumps(bert(size, intermediate_size=32).to_dict()))
    with pytest.raises(InputError, match="cannot be loaded: its weights do not have the shapes that config.json says"):
        load_checkpoint(folder, GLUE["rte"])
    assert told(caplog) == []


@pytest.mark.parametrize(
    "content", ['{"version": "1.0", "trunc', "", "[]", '{"added_tokens": []}', "null", b"\xff\xfe"]
)
def test_a_damaged_tokenizer_is_told_in_one_line(tmp_path: Path, checkpoint: str, content: str | bytes) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    (folder / "tokenizer.json").write_bytes(content.encode() if isinstance(content, str) else content)
    told_first = (
        r"^model: '.*damaged' cannot be loaded: its tokenizer\.json or tokenizer_config\.json cannot be read: ."
    )
    with pytest.raises(InputError, match=told_first) as caught:
        load_checkpoint(str(folder), GLUE["sst2"])
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path, checkpoint: str) -> None:
    size = len(AutoTokenizer.from_pretrained(checkpoint))
    folder = save(BertConfig(vocab_size=size - 1, **SMALL), checkpoint, tmp_path / "short")
    with pytest.raises(InputError, match=f"embeds {size - 1} tokens, its tokenizer has {size}"):
        load_checkpoint(folder, GLUE["sst2"])
    settings = Path(save(BertConfig(vocab_size=size, **SMALL), checkpoint, tmp_path / "bare"), "tokenizer_config.json")
    kept = json.loads(settings.read_text())
    settings.write_text(json.dumps({key: value for key, value in kept.items() if key != "pad_token"}))
    with pytest.raises(InputError, match="must have a padding token, has none"):
        load_checkpoint(str(tmp_path / "bare"), GLUE["sst2"])


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path, checkpoint: str) -> None:
    folder = Path(save(BertConfig(vocab_size=400, **SMALL), checkpoint, tmp_path / "bare"))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match="must come with its tokenizer, has none with words. Save it there"):
        load_checkpoint(str(folder), GLUE["sst2"])


def test_a_hub_out_of_reach_is_asked_once_and_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def out_of_reach(name: str, timeout: float) -> None:
        asked.append((name, timeout))
        raise OSError("Name or service not known.\nCheck your connection.")

    monkeypatch.setattr(module, "model_info", out_of_reach)
    message = r"^model: 'owner/name' is no folder here, and the hub does not give it \(Name or service not known\)\."
    with pytest.raises(InputError, match=message) as told:
        load_checkpoint("owner/name", GLUE["sst2"])
    assert "\n" not in str(told.value)
    assert asked == [("owner/name", 10.0)]


def test_a_model_that_was_fetched_before_is_loaded_without_the_hub(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "models--owner--name"
    shutil.copytree(checkpoint, kept / "snapshots" / "0123", ignore=shutil.ignore_patterns("*.py"))
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0123")
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    load = (
        "from finetune.checkpoint import *; from finetune.tasks import GLUE; load_checkpoint('owner/name', GLUE['rte'])"
    )
    subprocess.run([sys.executable, "-c", load], env=environment, check=True)


def test_the_head_is_fresh_and_the_encoder_is_not(checkpoint: str) -> None:
    torch.manual_seed(0)
    first = load_checkpoint(checkpoint, GLUE["sst2"])[0].state_dict()
    second = load_checkpoint(checkpoint, GLUE["sst2"])[0].state_dict()
    equal = {name: torch.equal(first[name], second[name]) for name in first}
    assert all(same for name, same in equal.items() if not name.startswith("classifier"))
    assert not equal["classifier.out_proj.weight"]


def test_a_checkpoint_without_a_head_is_refused_where_nothing_is_trained(checkpoint: str):
    with pytest.raises(InputError, match="must have a head for mnli .*since nothing is trained, has none. Give"):
        load_checkpoint(checkpoint, GLUE["mnli"], needs_head=True)


@pytest.fixture
def kept(checkpoint: str, tmp_path: Path) -> Callable[..., str]:
    """Saves a model for rte, with its labels and the rows of its head in an order, under other names where asked."""

    def save_ordered(order: list[int], names: list[str] | None = None) -> str:
        torch.manual_seed(0)
        model, tokenizer = load_checkpoint(checkpoint, GLUE["mnli"])
        names = names or list(GLUE["mnli"].labels)
        for weights in model.classifier.out_proj.parameters():
            weights.data = weights.data[order]
        model.config.id2label = {place: names[code] for place, code in enumerate(order)}
        model.config.label2id = {names[code]: place for place, code in enumerate(order)}
        folder = tmp_path / "-".join(map(str, order))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return save_ordered


def test_labels_in_another_order_are_put_into_that_of_the_task(kept: Callable[..., str]) -> None:
    upper = [name.upper() for name in GLUE["mnli"].labels]
    same, turned = (
        load_checkpoint(kept(order, upper), GLUE["mnli"], needs_head=True)[0] for order in ([0, 1, 2], [2, 0, 1])
    )
    for name, weights in same.state_dict().items():
        assert torch.equal(weights, turned.state_dict()[name]), name
    assert turned.config.id2label == dict(enumerate(GLUE["mnli"].labels))


def test_signs_are_no_separators(checkpoint: str, tmp_path: Path) -> None:
    model, tokenizer = load_checkpoint(checkpoint, GLUE["sst2"])
    model.config.id2label, model.config.label2id = {0: "1", 1: "-1"}, {"1": 0, "-1": 1}
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    turned, _ = load_checkpoint(str(tmp_path), replace(GLUE["sst2"], labels=("-1", "1")), needs_head=True)
    assert torch.equal(turned.classifier.out_proj.weight, model.classifier.out_proj.weight.flip(0))


def test_labels_without_names_go_by_their_places(kept: Callable[..., str]) -> None:
    folder = kept([0, 1, 2], ["LABEL_0", "LABEL_1", "LABEL_2"])
    assert load_checkpoint(folder, GLUE["mnli"], needs_head=True)[0].config.id2label[0] == "entailment"


def test_the_names_of_labels_are_those_of_the_checkpoint(kept: Callable[..., str], checkpoint: str) -> None:
    assert label_names(kept([2, 0, 1])) == ("contradiction", "entailment", "neutral")
    with pytest.raises(InputError, match="must name its labels in config.json, does not. Give --train_file"):
        label_names(checkpoint)


def test_a_head_for_other_labels_is_refused_where_nothing_is_trained(kept: Callable[..., str]) -> None:
    folder = kept([0, 1, 2], ["good", "bad", "so-so"])
    message = "must have a head for mnli .entailment, neutral, contradiction., since .* has one for good, bad, so-so"
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder, GLUE["mnli"], needs_head=True)
    load_checkpoint(folder, GLUE["mnli"])
    with pytest.raises(InputError, match="since nothing is trained, has one of 3 outputs"):
        load_checkpoint(folder, GLUE["rte"], needs_head=True)


# Encoder-decoders

QA = TEXT_TASKS["closed_book_qa"]


@pytest.fixture
def changed_t5(t5: str, tmp_path: Path) -> Callable[..., Path]:
    """Maker of a T5 whose configuration differs from its weights."""

    def make(**values: Any) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(t5, folder)
        config = json.loads((folder / "config.json").read_text()) | values
        kept = {name: value for name, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))
        return folder

    return make


@pytest.mark.parametrize("needs_head", [False, True])
def test_an_encoder_decoder_has_its_head(t5: str, needs_head: bool) -> None:
    model, tokenizer = load_checkpoint(t5, QA, needs_head=needs_head)
    assert isinstance(model, T5ForConditionalGeneration)
    weights = load_file(Path(t5) / "model.safetensors")
    assert torch.equal(model.state_dict()["lm_head.weight"], weights["shared.weight"])
    assert tokenizer("sky")["input_ids"][-1] == 1


def test_other_encoder_decoders_are_fine_tuned(
    t5: str, colours: TaskData, arguments: Callable[..., FinetuneArguments], tmp_path: Path
) -> None:
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "dropout": 0.0, "init_std": 0.2}
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "decoder_start_token_id": 1}
    config = BartConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(t5)), max_position_embeddings=64, **sizes, **heads, **tokens
    )
    config.forced_eos_token_id = 1
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path / "bart")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(t5) / name, tmp_path / "bart" / name)
    result = finetune(str(tmp_path / "bart"), QA, colours, arguments(max_steps=60), Reading(max_target_length=5))
    assert result.score > 90


def test_an_encoder_alone_is_no_model_that_writes(
    checkpoint: str, t5: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError, match=r"must be an encoder-decoder for closed_book_qa, is of the kind flexibert"):
        load_checkpoint(checkpoint, QA)
    folder = tmp_path / "encoder"
    T5EncoderModel(T5Config.from_pretrained(t5)).save_pretrained(folder)
    with pytest.raises(InputError, match="is of the kind t5 without a decoder. Give one such as T5"):
        load_checkpoint(str(folder), QA)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"is_encoder_decoder": True}))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(t5) / name, folder / name)
    lacks = r"must hold the weights of its T5ForConditionalGeneration, lacks \d+ of them, such as decoder\.block\.0"
    with pytest.raises(InputError, match=lacks):
        load_checkpoint(str(folder), QA)


def test_an_encoder_decoder_of_other_shapes_is_refused(changed_t5: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="its weights do not have the shapes that config.json says"):
        load_checkpoint(str(changed_t5(d_ff=128)), QA, needs_head=True)


def test_a_model_that_does_not_know_how_texts_begin_is_refused(changed_t5: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="must name decoder_start_token_id and pad_token_id in config.json"):
        load_checkpoint(str(changed_t5(decoder_start_token_id=None)), QA)


def test_a_t5_without_a_tokenizer_is_refused(t5: str, tmp_path: Path) -> None:
    config = T5Config.from_pretrained(t5)
    config.vocab_size = 200  # more than the special tokens that transformers makes up for it
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match="must come with its tokenizer, has none with words. Save it there") as caught:
        load_checkpoint(str(tmp_path / "bare"), QA)
    assert "\n" not in str(caught.value)
