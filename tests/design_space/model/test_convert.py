"""Checkpoints of other encoders: saved to disk as they would be, converted, and compared."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, ConvBertConfig, FNetConfig

from design_space.errors import InputError
from design_space.model.__main__ import main
from design_space.model.convert import convert
from design_space.model.presets import PRESETS

SHARED = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.2,
}
ATTENDING = {**SHARED, "num_attention_heads": 4}
CONFIGS: dict[str, Any] = {
    "Bert": BertConfig(**ATTENDING, num_labels=3),
    "ConvBert": ConvBertConfig(**ATTENDING, embedding_size=32, conv_kernel_size=7, num_labels=3),
    "FNet": FNetConfig(**SHARED, num_labels=3),
}
SAME_HEAD = [
    ("Bert", "Model", "FlexiBertModel"),
    ("Bert", "ForMaskedLM", "FlexiBertForMaskedLM"),
    ("Bert", "ForPreTraining", "FlexiBertForMaskedLM"),
    ("Bert", "ForSequenceClassification", "FlexiBertForSequenceClassification"),
    ("Bert", "ForTokenClassification", "FlexiBertForTokenClassification"),
    ("ConvBert", "Model", "FlexiBertModel"),
    ("ConvBert", "ForMaskedLM", "FlexiBertForMaskedLM"),
    ("ConvBert", "ForTokenClassification", "FlexiBertForTokenClassification"),
    ("FNet", "Model", "FlexiBertModel"),
    ("FNet", "ForMaskedLM", "FlexiBertForMaskedLM"),
    ("FNet", "ForPreTraining", "FlexiBertForMaskedLM"),
    ("FNet", "ForSequenceClassification", "FlexiBertForSequenceClassification"),
    ("FNet", "ForTokenClassification", "FlexiBertForTokenClassification"),
]


@torch.no_grad()
def saved(folder: Path, family: str, head: str = "Model", config: Any = None) -> Any:
    """A checkpoint with every weight drawn; FNet's projection is diagonal."""
    model = getattr(transformers, f"{family}{head}")(config or CONFIGS[family])
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        weight.normal_(0, 0.3, generator=generator)
        if name.endswith("projection.weight"):
            weight.copy_(weight.diagonal().diag())
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize(("family", "head", "ours"), SAME_HEAD)
@torch.no_grad()
def test_a_converted_checkpoint_gives_the_same_outputs(tmp_path: Path, family: str, head: str, ours: str) -> None:
    source = saved(tmp_path, family, head)
    converted = convert(str(tmp_path))
    assert type(converted.model).__name__ == ours
    assert converted.source_class == f"{family}{head}"
    assert all("pooler" in name or "seq_relationship" in name for name in converted.left_out)
    ids = torch.randint(60, (3, 30), generator=torch.Generator().manual_seed(1))
    output = converted.model.eval()(ids, token_type_ids=ids % 2)[0]
    torch.testing.assert_close(output, source(ids, token_type_ids=ids % 2)[0], atol=2e-5, rtol=0)
    config = converted.model.config
    assert config.model_dict["l"] == 3
    assert config.hidden_dropout_prob == 0.2
    if head.endswith("Classification"):
        assert config.num_labels == 3


@pytest.mark.parametrize(("family", "head"), [("Bert", "ForQuestionAnswering"), ("ConvBert", "ForMultipleChoice")])
def test_a_head_without_a_counterpart_is_left_out_and_told(tmp_path: Path, family: str, head: str) -> None:
    saved(tmp_path, family, head)
    converted = convert(str(tmp_path))
    assert type(converted.model).__name__ == "FlexiBertModel"
    assert {"qa_outputs.weight", "classifier.weight"} & set(converted.left_out)


def test_an_untied_decoder_keeps_its_own_weights(tmp_path: Path) -> None:
    config = BertConfig(**ATTENDING, tie_word_embeddings=False)
    source = saved(tmp_path, "Bert", "ForMaskedLM", config)
    model = convert(str(tmp_path)).model
    assert torch.equal(model.lm_head.decoder.weight, source.cls.predictions.decoder.weight)
    assert not torch.equal(model.lm_head.decoder.weight, model.flexibert.embeddings.word_embeddings.weight)


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("Bert", {"hidden_act": "relu"}, "hidden_act must be 'gelu' to become a FlexiBERT, got 'relu'"),
        ("FNet", {"hidden_act": "gelu_new"}, "hidden_act must be 'gelu' to become a FlexiBERT, got 'gelu_new'"),
        ("Bert", {"is_decoder": True}, "is_decoder must be False"),
        ("ConvBert", {"head_ratio": 4}, "head_ratio must be 2 to become a FlexiBERT, got 4"),
        ("ConvBert", {"num_groups": 2}, "num_groups must be 1"),
        ("ConvBert", {"embedding_size": 16}, "embedding_size must be 32 to become a FlexiBERT, got 16"),
        ("Bert", {"position_embedding_type": "relative_key"}, "position_embedding_type must be 'absolute'"),
    ],
)
def test_what_would_change_the_outputs_is_refused_by_name(
    tmp_path: Path, family: str, change: dict[str, Any], message: str
) -> None:
    config = CONFIGS[family].to_dict() | change
    saved(tmp_path, family, config=type(CONFIGS[family])(**config))
    with pytest.raises(InputError, match=message):
        convert(str(tmp_path))


def test_a_projection_that_mixes_channels_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "FNet")
    changed(tmp_path, lambda weights: weights["embeddings.projection.weight"].normal_())
    with pytest.raises(InputError, match="embeddings.projection.weight mixes channels and cannot be folded"):
        convert(str(tmp_path))


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


NAME = "encoder.layer.1.output.dense.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop(NAME), f"{NAME} is missing. The checkpoint is not whole"),
        (
            lambda weights: weights.update({NAME: torch.zeros(3)}),
            rf"{NAME} must have the shape \(32, 48\) .*got \(3,\)",
        ),
        (lambda weights: weights[NAME].fill_(float("nan")), f"{NAME} must be finite, holds NaN or infinity"),
        (
            lambda weights: weights.update({"encoder.layer.7.output.dense.bias": torch.zeros(32)}),
            "encoder.layer.7.output.dense.bias has no place in BertModel",
        ),
    ],
    ids=["missing", "shape", "NaN", "extra"],
)
def test_a_checkpoint_that_is_not_whole_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    saved(tmp_path, "Bert")
    changed(tmp_path, change)
    with pytest.raises(InputError, match=message):
        convert(str(tmp_path))


def test_a_classifier_without_its_pooler_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "Bert", "ForSequenceClassification")
    changed(tmp_path, lambda weights: weights.pop("bert.pooler.dense.weight"))
    with pytest.raises(InputError, match="bert.pooler.dense.weight is missing"):
        convert(str(tmp_path))


@pytest.mark.parametrize(
    "change", [{"hidden_size": "32"}, {"num_attention_heads": 0}, {"hidden_size": 33}, {"vocab_size": -1}]
)
def test_a_configuration_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    saved(tmp_path, "Bert")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match="--from: "):
        convert(str(tmp_path))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("--") or "design_space" in line]
    assert len(lines) == 1
    return lines[0]


def test_bad_sources_leave_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged, other, empty = tmp_path / "damaged", tmp_path / "other", tmp_path / "empty"
    saved(damaged, "Bert")
    content = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(content[:500])
    transformers.GPT2Config().save_pretrained(other)
    empty.mkdir()
    before = sorted(tmp_path.rglob("*"))
    target = str(tmp_path / "deep" / "new")
    assert "cannot be loaded" in refused(capsys, "convert", "--from", str(damaged), "--to", target)
    assert "must be of type bert, convbert, fnet, got 'gpt2'" in refused(
        capsys, "convert", "--from", str(other), "--to", target
    )
    assert "cannot be loaded" in refused(capsys, "convert", "--from", str(empty), "--to", target)
    assert "exists. Give another folder" in refused(capsys, "convert", "--from", str(damaged), "--to", str(other))
    assert "No such option: --form" in refused(capsys, "convert", "--form", str(damaged), "--to", target)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_writes_a_folder_that_loads_without_this_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = saved(tmp_path / "bert", "Bert", "ForMaskedLM")
    assert isinstance(source, BertForMaskedLM)
    assert main(["convert", "--from", str(tmp_path / "bert"), "--to", str(tmp_path / "deep" / "new"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["class"] == "FlexiBertForMaskedLM"
    assert told["left_out"] == []
    assert told["has_tokenizer"] is False
    assert not (tmp_path / "deep" / "new" / "tokenizer.json").exists()
    assert told["max_difference"] < 1e-6
    code = (
        "import sys, torch\nfrom transformers import AutoModelForMaskedLM\n"
        "model = AutoModelForMaskedLM.from_pretrained(sys.argv[1], trust_remote_code=True)\n"
        "assert 'design_space' not in sys.modules\n"
        "print(float(model.eval()(torch.arange(20)[None]).logits.abs().sum()))"
    )
    words = [sys.executable, "-P", "-c", code, str(tmp_path / "deep" / "new")]
    outcome = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    with torch.no_grad():
        expected = source(torch.arange(20)[None]).logits.abs().sum()
    assert float(outcome.stdout.split()[-1]) == pytest.approx(float(expected), rel=1e-5)
    ours = AutoModelForMaskedLM.from_pretrained(tmp_path / "deep" / "new")
    assert type(ours).__module__ == "design_space.model.modeling_flexibert"


def test_the_tokenizer_comes_along_if_it_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "bert", "Bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat"]
    (tmp_path / "bert" / "vocab.txt").write_text("\n".join(words) + "\n")
    assert main(["convert", "--from", "bert", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["has_tokenizer"] is True
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "bert-flexibert", trust_remote_code=True)
    assert tokenizer("the cat")["input_ids"] == [2, 5, 6, 3]
    (tmp_path / "bert" / "vocab.txt").write_text("\n".join([*words, *map(str, range(100))]) + "\n")
    line = refused(capsys, "convert", "--from", "bert", "--to", "other")
    assert "its tokenizer must fit the model's 60 entries, has 107" in line
    (tmp_path / "bert" / "tokenizer.json").write_text("{")
    assert "its tokenizer cannot be read" in refused(capsys, "convert", "--from", "bert", "--to", "other")
    assert not (tmp_path / "other").exists()


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert set(listed) == set(PRESETS)
    assert listed["bert_mini"]["params_absolute"] == 16_157_952
    assert main(["presets"]) == 0
    assert "flexibert_large" in capsys.readouterr().out
