"""What each way of tuning adds and trains, on every kind of encoder and on T5."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AlbertConfig,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    PreTrainedModel,
    RobertaConfig,
    T5Config,
)

from design_space.errors import InputError
from design_space.model.configuration_flexibert import FlexiBertConfig
from finetune.tuning.families import num_positions
from finetune.tuning.prompt import num_prompt_tokens
from finetune.tuning.settings import METHODS, Tuning
from finetune.tuning.tune import num_trained, tune
from finetune.tuning.virtual_tokens import VirtualTokens

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
NUM_TOKENS = 3


def flexibert(operations: list[str], parameters: list[Any], positions: str = "relative_key") -> FlexiBertConfig:
    described = {"l": 2, "o": operations, "h": [32, 64], "n": [2, 4], "f": [[64], [64, 32]], "p": parameters}
    return FlexiBertConfig(
        model_dict=described, vocab_size=50, max_position_embeddings=40, position_embedding_type=positions
    )


ENCODERS = {
    "bert": BertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES),
    "electra": ElectraConfig(embedding_size=16, **SIZES),
    "distilbert": DistilBertConfig(
        vocab_size=50, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=40
    ),
    "sdp, wma": flexibert(["sa", "sa"], ["sdp", "wma"]),
    "convolutions": flexibert(["c", "c"], [5, 9]),
    "absolute": flexibert(["sa", "c"], ["sdp", 5], "absolute"),
}
TRANSFORMS = {
    "dct": flexibert(["sa", "l"], ["sdp", "dct"]),
    "dft": flexibert(["l", "sa"], ["dft", "wma"]),
}
T5 = T5Config(
    vocab_size=50, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, eos_token_id=1
)


def made(config: Any, auto: Any = AutoModelForSequenceClassification) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel = auto.from_config(deepcopy(config))
    return model.eval()


def texts() -> dict[str, Tensor]:
    """Three texts, the first one padded."""
    ids = torch.randint(5, 50, (3, 8), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    ids[0, 6:], mask[0, 6:] = 1, 0
    return {"input_ids": ids, "attention_mask": mask}


def tuning(method: str, **settings: Any) -> Tuning:
    return Tuning(method=method, **{"num_virtual_tokens": NUM_TOKENS} | settings)


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("config", [*ENCODERS.values(), *TRANSFORMS.values()], ids=[*ENCODERS, *TRANSFORMS])
@pytest.mark.parametrize("method", ["adapter", "lora", "head", "bitfit"])
def test_a_model_answers_as_before_at_first(method: str, config: Any) -> None:
    model = made(config)
    before = model(**texts()).logits
    tune(model, tuning(method))
    assert (model(**texts()).logits - before).abs().max() <= 1e-5


@pytest.mark.parametrize("config", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("method", METHODS)
def test_all_that_is_to_learn_has_a_gradient_and_nothing_else(method: str, config: Any) -> None:
    model = made(config)
    tune(model, tuning(method))
    model(**texts(), labels=torch.tensor([0, 1, 1])).loss.backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == trained(model)
    assert (num_trained(model) < model.num_parameters()) == (method != "full")


@pytest.mark.parametrize("method", ["adapter", "lora", "prompt", "prefix", "head", "bitfit"])
def test_the_head_and_the_pooler_are_always_trained(method: str) -> None:
    model = made(BertConfig(**SIZES))
    model.requires_grad_(False)  # wherever it comes from
    tune(model, tuning(method))
    assert {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight"} <= trained(model)
    assert "bert.embeddings.word_embeddings.weight" not in trained(model)


def test_both_layers_of_a_head_are_trained() -> None:
    model = made(DistilBertConfig(**{"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 64, "vocab_size": 50}))
    tune(model, tuning("head"))
    assert {name.split(".")[0] for name in trained(model)} == {"pre_classifier", "classifier"}


def test_there_are_two_adapters_a_layer_of_the_asked_width() -> None:
    model = made(ENCODERS["sdp, wma"])
    tune(model, tuning("adapter", adapter_reduction_factor=8))
    widths = [part.out_features for name, part in model.named_modules() if name.endswith("adapter.down")]
    assert widths == [4, 4, 8, 8]
    norms = {name for name in trained(model) if "norm" in name.lower()}
    assert "flexibert.layers.1.feed_forward_norm.weight" in norms


def test_adapters_of_a_wide_encoder_are_a_small_share() -> None:
    wide = BertConfig(**SIZES | {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024})
    model = made(wide)
    head = sum(p.numel() for name, p in model.named_parameters() if "classifier" in name or "pooler" in name)
    tune(model, tuning("adapter"))
    assert num_trained(model) - head <= 0.05 * model.num_parameters()


def test_an_adapter_that_learnt_changes_the_answer() -> None:
    model = made(ENCODERS["convolutions"])
    before = model(**texts()).logits
    tune(model, tuning("adapter"))
    for name, parameter in model.named_parameters():
        if "adapter.up.weight" in name:
            nn.init.normal_(parameter)
    assert (model(**texts()).logits - before).abs().max() > 1e-3


def test_lora_is_on_queries_and_values_or_where_it_is_asked_for() -> None:
    model = made(BertConfig(**SIZES))
    tune(model, tuning("lora", lora_rank=2))
    assert {name.split(".")[6] for name in trained(model) if "lora" in name} == {"query", "value"}
    shapes = {tuple(p.shape) for name, p in model.named_parameters() if "lora_A" in name}
    assert shapes == {(2, 32)}
    model = made(BertConfig(**SIZES))
    tune(model, tuning("lora", lora_target_modules=("intermediate.dense",)))
    assert {name.split(".")[4] for name in trained(model) if "lora" in name} == {"intermediate"}


@pytest.mark.parametrize("config", [*ENCODERS.values(), *TRANSFORMS.values()], ids=[*ENCODERS, *TRANSFORMS])
def test_a_head_does_not_see_a_prompt(config: Any) -> None:
    answers = made(config, AutoModelForQuestionAnswering)
    tune(answers, tuning("prompt"))
    assert answers(**texts()).start_logits.shape == (3, 8)
    choices = made(config, AutoModelForMultipleChoice)
    tune(choices, tuning("prompt"))
    assert choices(**{name: value[None] for name, value in texts().items()}).logits.shape == (1, 3)
    assert num_prompt_tokens(choices) == NUM_TOKENS


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_a_prompt_of_word_embeddings_is_as_those_words_before_the_text(name: str) -> None:
    """In front of texts that begin with the words themselves, the states of the text are the same."""
    words = torch.tensor([7, 8, 9])
    with_words, given = made(ENCODERS[name], AutoModelForQuestionAnswering), texts()
    longer = {
        "input_ids": torch.cat([words.expand(3, -1), given["input_ids"]], dim=1),
        "attention_mask": torch.cat([torch.ones(3, 3, dtype=torch.long), given["attention_mask"]], dim=1),
    }
    if name == "roberta":  # places of given embeddings are counted, those of ids leave the padding out
        given["attention_mask"][0, 6:], given["input_ids"][0, 6:] = 1, 5
        longer["attention_mask"][0, 9:], longer["input_ids"][0, 9:] = 1, 5
    expected = with_words(**longer).start_logits[:, 3:]
    model = made(ENCODERS[name], AutoModelForQuestionAnswering)
    tune(model, tuning("prompt"))
    prompt = next(part for part in model.modules() if isinstance(part, VirtualTokens))
    prompt.settle()
    embeddings = model.get_input_embeddings()
    assert isinstance(embeddings, nn.Embedding)
    prompt.vectors = nn.Parameter(embeddings.weight[words].detach().clone())
    torch.testing.assert_close(model(**given).start_logits, expected, atol=1e-5, rtol=1e-4)


def attention_of(model: PreTrainedModel, keys: Tensor, values: Tensor) -> None:
    """Let the first prefix of a model be these keys and values, (P, H · d)."""
    prefix = next(part for part in model.modules() if isinstance(part, VirtualTokens))
    prefix.settle()
    prefix.vectors = nn.Parameter(torch.cat([keys, values], dim=-1))


@pytest.mark.parametrize("name", ["bert", "electra", "distilbert", "sdp, wma", "convolutions", "absolute"])
def test_a_prefix_changes_the_answers_and_not_their_places(name: str) -> None:
    model = made(ENCODERS[name], AutoModelForQuestionAnswering)
    before = model(**texts()).start_logits
    tune(model, tuning("prefix"))
    changed = model(**texts()).start_logits
    assert changed.shape == before.shape
    assert not torch.allclose(changed, before)


def test_a_prefix_is_softmax_over_its_keys_and_those_of_the_text() -> None:
    """One layer of FlexiBERT, against the formula written out."""
    config = flexibert(["sa", "sa"], ["sdp", "sdp"], "absolute")
    model = made(config)
    tune(model, tuning("prefix"))
    generator = torch.Generator().manual_seed(3)
    keys, values = (torch.randn(NUM_TOKENS, 32, generator=generator) for _ in range(2))
    attention_of(model, keys, values)
    attention: Any = model.base_model.layers[0].operation.attention  # type: ignore[operator, union-attr]
    query, key, value = (torch.randn(1, 2, 5, 16, generator=generator) for _ in range(3))

    class Mask:
        def score_bias(self, _: torch.dtype) -> None:
            return None

    found, probabilities = attention(query, key, value, Mask(), True)
    for head in range(2):
        own = slice(16 * head, 16 * head + 16)
        all_keys = torch.cat([keys[:, own], key[0, head]])
        all_values = torch.cat([values[:, own], value[0, head]])
        expected = torch.softmax(query[0, head] @ all_keys.T / 4, dim=-1)
        torch.testing.assert_close(probabilities[0, head], expected)
        torch.testing.assert_close(found[0, :, own], expected @ all_values)


def test_padding_is_not_seen_beside_a_prefix() -> None:
    for config in (ENCODERS["bert"], ENCODERS["convolutions"], ENCODERS["absolute"]):
        model = made(config)
        tune(model, tuning("prefix"))
        given = texts()
        alone = {name: value[:1, :6] for name, value in given.items()}
        torch.testing.assert_close(model(**given).logits[:1], model(**alone).logits, atol=1e-5, rtol=1e-4)


def test_models_without_a_prefix_stay_what_they_are_beside_one_with_it() -> None:
    config = BertConfig(**SIZES)
    torch.manual_seed(0)
    first, second = (AutoModelForSequenceClassification.from_config(config).eval() for _ in range(2))  # one config
    before = second(**texts()).logits
    tune(first, tuning("prefix"))
    torch.testing.assert_close(second(**texts()).logits, before)


@pytest.mark.parametrize("method", ["full", "adapter", "lora", "prompt", "prefix"])
def test_t5_generates_what_its_forward_pass_says(method: str) -> None:
    """With caches and without: the virtual tokens of encoder, decoder and what is between must stand at every step."""
    model = made(T5, AutoModelForSeq2SeqLM)
    before = model(**texts(), labels=texts()["input_ids"]).logits
    tune(model, tuning(method))
    changed = model(**texts(), labels=texts()["input_ids"])
    assert (method in ("prompt", "prefix")) != torch.allclose(changed.logits, before, atol=1e-4)
    changed.loss.backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    generate: Callable[..., Tensor] = model.generate  # type: ignore[assignment]
    found = generate(**texts(), max_new_tokens=5, min_new_tokens=5, do_sample=False, num_beams=1)
    decoded = torch.zeros(3, 1, dtype=torch.long)
    for _ in range(5):
        logits = model(**texts(), decoder_input_ids=decoded, use_cache=False).logits[:, -1]
        logits[:, 1] = -torch.inf  # no end yet
        decoded = torch.cat([decoded, logits.argmax(-1, keepdim=True)], dim=1)
    assert found.tolist() == decoded.tolist()


def test_t5_has_prefixes_in_encoder_decoder_and_between() -> None:
    model = made(T5, AutoModelForSeq2SeqLM)
    tune(model, tuning("prefix"))
    places = {
        name.split(".")[0] + "." + name.split(".")[-2]
        for name, part in model.named_modules()
        if isinstance(part, VirtualTokens)
    }
    assert places == {"encoder.SelfAttention", "decoder.SelfAttention", "decoder.EncDecAttention"}


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_virtual_tokens_outlive_the_network_that_made_them(method: str) -> None:
    model = made(ENCODERS["bert"])
    tune(model, tuning(method))
    before, with_network = model(**texts()).logits, num_trained(model)
    for part in list(model.modules()):
        if isinstance(part, VirtualTokens):
            part.settle()
    torch.testing.assert_close(model(**texts()).logits, before)
    assert num_trained(model) < with_network


def test_positions_are_counted_as_the_model_counts_them() -> None:
    assert num_positions(made(BertConfig(**SIZES))) == 40
    assert num_positions(made(RobertaConfig(**SIZES))) == 38  # they begin behind the padding's
    assert num_positions(made(T5, AutoModelForSeq2SeqLM)) is None


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (TRANSFORMS["dct"], {"method": "prefix"}, r"--tuning prefix: is not defined for layer 1 \(l, dct\), .*no keys"),
        (
            flexibert(["sa", "l"], ["sdp", "dft"], "absolute"),
            {"method": "lora"},
            r"--tuning lora: is not defined for layer 1 \(l, dft\), a transform without weights",
        ),
        (DebertaV2Config(**SIZES), {"method": "prefix"}, "--tuning prefix: is not defined for deberta-v2"),
        (
            GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50),
            {"method": "adapter"},
            "models of .*, got gpt2. Take 'full', 'head' or 'bitfit'",
        ),
        (
            BertConfig(**SIZES),
            {"method": "prompt", "num_virtual_tokens": 33},
            "must leave a text 8 of the model's 40 positions, got 33. Give at most 32",
        ),
        (
            BertConfig(**SIZES),
            {"method": "prefix", "num_virtual_tokens": 41},
            "must leave a text 8 of the model's 40 positions, got 41",
        ),
        (AlbertConfig(embedding_size=16, **SIZES), {"method": "prompt"}, "--tuning prompt: .*, got albert"),
        (
            RobertaConfig(**SIZES),
            {"method": "lora", "lora_target_modules": ("query", "out_proj")},
            "'out_proj' must end the name of a linear layer below the head",
        ),
        (
            BertConfig(**SIZES),
            {"method": "lora", "lora_target_modules": ("(",)},
            r"--lora_target_modules: '\(' must end the name of a linear layer",
        ),
        (
            BertConfig(**SIZES),
            {"method": "lora", "lora_target_modules": ("keys",)},
            "--lora_target_modules: 'keys' must end the name of a linear layer",
        ),
        (
            BertConfig(**SIZES),
            {"method": "lora", "lora_target_modules": ("LayerNorm",)},
            "--lora_target_modules: 'LayerNorm' must end the name of a linear layer",
        ),
    ],
)
def test_what_is_not_defined_is_refused_by_name(config: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tune(made(config), Tuning(**settings))


@pytest.mark.parametrize(("method", "reason"), [("head", "has none of its own"), ("bitfit", "has no biases")])
def test_t5_has_no_head_of_its_own_and_no_biases(method: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"--tuning {method}: is not defined for t5, which {reason}"):
        tune(made(T5, AutoModelForSeq2SeqLM), tuning(method))


@pytest.mark.parametrize("method", ["adapter", "lora", "prompt", "prefix", "head"])
def test_the_head_of_a_t5_that_classifies_is_trained(method: str) -> None:
    model = made(T5)
    tune(model, tuning(method))
    heads = {name for name, _ in model.named_parameters() if name.startswith("classification_head.")}
    assert heads
    assert heads <= trained(model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "adaptor"}, "--tuning: must be one of .*, got 'adaptor'. Did you mean 'adapter'?"),
        ({"method": "adapter", "adapter_reduction_factor": 0}, "--adapter_reduction_factor: must be at least 1, got 0"),
        ({"method": "prompt", "num_virtual_tokens": -1}, "--num_virtual_tokens: must be at least 1, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Tuning(**settings)
