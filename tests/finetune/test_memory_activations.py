"""What a step of fine-tuning takes, for models with other inputs and other parts that learn."""

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    T5Config,
)

from design_space.errors import InputError
from design_space.model.step_memory import Step
from finetune.memory.activations import activation_bytes
from finetune.memory.model import planned_model
from finetune.tuning.settings import METHODS, Tuning
from finetune.tuning.tune import num_trained, tune

SMALL: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
BERT = BertConfig(**SMALL)
T5 = T5Config(vocab_size=100, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0)


def kept(step: Step) -> int:
    return sum(step.kept.values())


def of_tuning(tuning: str, config: Any = BERT) -> Step:
    return activation_bytes(planned_model(config, tuning=Tuning(method=tuning, num_virtual_tokens=4)), 4, 32)


def test_less_is_kept_where_less_learns():
    full, bitfit, head = (of_tuning(tuning) for tuning in ("full", "bitfit", "head"))
    assert kept(full) > kept(bitfit) > kept(head)
    assert full.gradients > bitfit.gradients > head.gradients
    assert head.kept["encoder.layer.0"] == 0 < bitfit.kept["encoder.layer.0"]


@pytest.mark.parametrize("method", METHODS)
def test_what_a_tuning_adds_and_trains_is_in_the_plan(method: str):
    model = BertForSequenceClassification(BERT)
    tune(model, Tuning(method=method, num_virtual_tokens=4))
    step = of_tuning(method)
    assert (step.gradients, step.weights) == (4 * num_trained(model), model.get_memory_footprint())
    assert kept(step) > 0


def test_a_text_to_text_model_reads_and_writes():
    model = planned_model(T5)
    short, long = (activation_bytes(model, 2, 16, target_length=length) for length in (8, 16))
    assert short.kept["encoder.block.1"] == long.kept["encoder.block.1"]
    assert short.kept["decoder.block.1"] < long.kept["decoder.block.1"]


@pytest.mark.parametrize("kind", [BertForTokenClassification, BertForMaskedLM, AutoModelForQuestionAnswering])
def test_heads_get_the_labels_that_they_ask_for(kind: Any):
    make = getattr(kind, "from_config", kind)
    assert kept(activation_bytes(make(BERT).train(), 2, 8)) > 0


def test_a_regression_gets_numbers():
    assert kept(activation_bytes(BertForSequenceClassification(BertConfig(**SMALL, num_labels=1)).train(), 2, 8)) > 0


def test_modules_that_were_added_and_trained_alone_count():
    plain, changed = (planned_model(BERT, tuning=Tuning(method="head")) for _ in range(2))
    layer = changed.get_submodule("bert.encoder.layer.1.output")
    with torch.device("meta"):
        layer.dense = torch.nn.Sequential(layer.dense, torch.nn.Linear(32, 32, bias=False))
    before, after = (activation_bytes(model, 4, 16) for model in (plain, changed))
    assert after.gradients - before.gradients == 4 * 32 * 32
    assert after.kept["encoder.layer.0"] == before.kept["encoder.layer.0"] == 0
    assert after.kept["encoder.layer.1"] >= 4 * 16 * 32 * 4


def test_half_precision_keeps_less_on_a_gpu():
    model = planned_model(BERT)
    single, mixed, pure = (
        activation_bytes(model, 64, 64, device="cuda", precision=precision)
        for precision in ("fp32", "bf16", "pure_bf16")
    )
    assert kept(single) > kept(mixed) > kept(pure)
    assert single.gradients == mixed.gradients == 2 * pure.gradients


@pytest.mark.parametrize(
    ("batch", "length", "target", "message"),
    [
        (0, 8, 8, "^--per_device_train_batch_size: must be at least 1, got 0"),
        (1, 0, 8, "^--max_seq_length: must be at least 1, got 0"),
        (1, 8, -1, "^--max_target_length: must be at least 1, got -1"),
        (1, 513, 8, "^--max_seq_length: must be at most the 512 positions of the model, got 513"),
    ],
)
def test_shapes_that_cannot_be_are_refused(batch: int, length: int, target: int, message: str):
    with pytest.raises(InputError, match=message):
        activation_bytes(planned_model(BERT), batch, length, target_length=target)


def test_what_cannot_be_trained_is_refused():
    model = planned_model(BERT)
    model.requires_grad_(False)
    with pytest.raises(
        InputError, match="a step of BertForSequenceClassification cannot be planned: nothing is trained"
    ):
        activation_bytes(model, 1, 8)
    with pytest.raises(InputError, match="^--tuning head: is not defined for t5"):
        planned_model(T5, tuning=Tuning(method="head"))
    with pytest.raises(InputError, match="GPT2ForSequenceClassification cannot be planned: Cannot handle batch sizes"):
        activation_bytes(planned_model(GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=100)), 2, 8)
