"""Checkpoints of BERT, ConvBERT and FNet as FlexiBERT models with the same outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from design_space.errors import InputError
from design_space.model.configuration_flexibert import FlexiBertConfig
from design_space.model.modeling_flexibert import (
    FlexiBertForMaskedLM,
    FlexiBertForSequenceClassification,
    FlexiBertForTokenClassification,
    FlexiBertModel,
    FlexiBertPreTrainedModel,
)

MAX_DIFFERENCE = 1e-5
_CHECK_TOKENS = 24
_MAX_REASON = 300

_SHARED_NAMES = {
    "encoder.layer.": "layers.",
    "intermediate.dense.": "feed_forward.stack.0.",
    "attention.output.dense.": "operation.output.",
    "attention.output.LayerNorm.": "operation_norm.",
    "fourier.output.LayerNorm.": "operation_norm.",
    "output.dense.": "feed_forward.output.",
    "output.LayerNorm.": "feed_forward_norm.",
    "key_conv_attn_layer.depthwise.weight": "depthwise",
    "key_conv_attn_layer.": "",
    "conv_kernel_layer.": "kernel.",
    "conv_out_layer.": "convolved.",
    "attention.self.": "operation.",
}
_SHARED_SETTINGS = (
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_dropout_prob",
    "layer_norm_eps",
    "initializer_range",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "tie_word_embeddings",
    "id2label",
    "label2id",
    "problem_type",
)
_HEAD_NAMES: dict[type[FlexiBertPreTrainedModel], dict[str, str]] = {
    FlexiBertModel: {},
    FlexiBertForMaskedLM: {
        "cls.predictions.transform.": "lm_head.",
        "cls.predictions.": "lm_head.",
        "generator_predictions.": "lm_head.",
        "generator_lm_head.": "lm_head.decoder.",
    },
    FlexiBertForSequenceClassification: {"pooler.dense.": "classifier.dense.", "classifier.": "classifier.out_proj."},
    FlexiBertForTokenClassification: {"classifier.": "classifier."},
}


@dataclass(frozen=True)
class _Family:
    """A kind of checkpoint.

    Attributes:
        prefix: Of its classes' names.
        operation: Of every layer, where it does not depend on the configuration.
        heads: Classes with heads that have a counterpart, by the end of their names.
    """

    prefix: str
    operation: tuple[str, str] | None
    heads: Mapping[str, type[FlexiBertPreTrainedModel]]


_LANGUAGE_MODELS = {"ForMaskedLM": FlexiBertForMaskedLM, "ForPreTraining": FlexiBertForMaskedLM}
_LABELLERS = {"ForTokenClassification": FlexiBertForTokenClassification}
_POOLED = {"ForSequenceClassification": FlexiBertForSequenceClassification}
_FAMILIES = {
    "bert": _Family("Bert", ("sa", "sdp"), {**_LANGUAGE_MODELS, **_LABELLERS, **_POOLED}),
    # Its classifier has another activation than ours.
    "convbert": _Family("ConvBert", None, {"ForMaskedLM": FlexiBertForMaskedLM, **_LABELLERS}),
    "fnet": _Family("FNet", ("l", "dft"), {**_LANGUAGE_MODELS, **_LABELLERS, **_POOLED}),
}


@dataclass(frozen=True)
class Conversion:
    """A converted model.

    Attributes:
        model: With the weights of the source.
        source_class: Class that the source was loaded as.
        left_out: Weights of the source that have no place, such as an unused pooler.
        max_difference: Greatest difference of any output on random tokens, both computed in float64, relative to the
            greatest output where that is above 1.
        num_parameters: Of the encoder, heads not counted.
    """

    model: FlexiBertPreTrainedModel
    source_class: str
    left_out: tuple[str, ...]
    max_difference: float
    num_parameters: int


def convert(name_or_folder: str) -> Conversion:
    """Make the FlexiBERT model of a checkpoint's shape, with its weights.

    Biases of keys are left out, since softmax ignores them.

    Args:
        name_or_folder: Folder or hub name of a BERT, ConvBERT or FNet checkpoint in safetensors.

    Returns:
        The model, checked to give the same outputs.

    Raises:
        InputError: If it cannot be loaded, is of another family, or has a part that FlexiBERT has not.
        RuntimeError: If the outputs differ.
    """
    where = f"--from: {name_or_folder}"
    try:
        config = AutoConfig.from_pretrained(name_or_folder)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise InputError(f"{where}: cannot be loaded: {in_one_line(error)}") from None
    family = _FAMILIES.get(config.model_type)
    if family is None:
        raise InputError(f"{where}: must be of type {', '.join(_FAMILIES)}, got {config.model_type!r}.")
    _check_config(where, config)
    source, unused = _load(where, name_or_folder, config, family)
    target_class = family.heads.get(type(source).__name__.removeprefix(family.prefix), FlexiBertModel)
    model = target_class(_target_config(where, config, family))
    left_out = (*_copy(source, model), *unused)
    difference = _difference(source, model)
    if not difference <= MAX_DIFFERENCE:
        raise RuntimeError(f"{where}: outputs differ by {difference} after the conversion")
    encoder = cast(PreTrainedModel, model.base_model)
    return Conversion(model, type(source).__name__, left_out, difference, encoder.num_parameters())


def in_one_line(error: Exception) -> str:
    """What an exception says, fit for the end of a refusal."""
    return " ".join(str(error).split())[:_MAX_REASON] or type(error).__name__


def _check_config(where: str, config: PreTrainedConfig) -> None:
    """Refuse by name what would change the outputs."""
    for name, needed in (
        ("hidden_act", "gelu"),
        ("position_embedding_type", "absolute"),
        ("is_decoder", False),
        ("add_cross_attention", False),
        ("head_ratio", 2),
        ("num_groups", 1),
        ("use_tpu_fourier_optimizations", False),
        ("embedding_size", config.hidden_size),
    ):
        if (given := getattr(config, name, needed)) != needed:
            raise InputError(f"{where}: {name} must be {needed!r} to become a FlexiBERT, got {given!r}.")


def _load(
    where: str, name_or_folder: str, config: PreTrainedConfig, family: _Family
) -> tuple[PreTrainedModel, list[str]]:
    """The checkpoint with its head where that has a counterpart, else its encoder; and the names of other weights."""
    saved = (config.architectures or [""])[0]
    name = saved if saved.removeprefix(family.prefix) in family.heads else f"{family.prefix}Model"
    source_class: type[PreTrainedModel] = getattr(transformers, name)
    try:
        loaded: Any = source_class.from_pretrained(
            name_or_folder,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError, RuntimeError, ArithmeticError, SafetensorError) as error:
        raise InputError(f"{where}: cannot be loaded: {in_one_line(error)}") from None
    source, info = loaded
    for tensor, given, wanted in sorted(info["mismatched_keys"]):
        raise InputError(f"{where}: {tensor} must have the shape {tuple(wanted)} of config.json, got {tuple(given)}.")
    needs_pooler = family.heads.get(saved.removeprefix(family.prefix)) is FlexiBertForSequenceClassification
    if missing := sorted(name for name in info["missing_keys"] if needs_pooler or ".pooler." not in f".{name}"):
        raise InputError(f"{where}: {missing[0]} is missing. The checkpoint is not whole.")
    unexpected = sorted(info["unexpected_keys"])
    if extra := [name for name in unexpected if "encoder.layer." in name]:
        raise InputError(f"{where}: {extra[0]} has no place in {name}. Weights and config.json do not belong together.")
    for tensor, weight in source.state_dict().items():
        if not weight.isfinite().all():
            raise InputError(f"{where}: {tensor} must be finite, holds NaN or infinity.")
    return source.eval(), unexpected


def _target_config(where: str, config: PreTrainedConfig, family: _Family) -> FlexiBertConfig:
    operation, parameter = family.operation or ("c", str(config.conv_kernel_size))
    num_layers = config.num_hidden_layers
    columns = {
        "o": operation,
        "h": config.hidden_size,
        # FNet has no heads; ours serve relative positions alone.
        "n": getattr(config, "num_attention_heads", 1),
        "f": [config.intermediate_size],
        "p": parameter,
    }
    try:
        return FlexiBertConfig(
            model_dict={"l": num_layers} | {key: [value] * num_layers for key, value in columns.items()},
            position_embedding_type="absolute",
            transform_norm="backward",
            classifier_pooling="first",
            attention_probs_dropout_prob=getattr(config, "attention_probs_dropout_prob", 0.0),
            classifier_dropout=getattr(config, "classifier_dropout", None),
            **{name: getattr(config, name) for name in _SHARED_SETTINGS},
        )
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


@torch.no_grad()
def _copy(source: PreTrainedModel, model: FlexiBertPreTrainedModel) -> tuple[str, ...]:
    """Copy all weights; the names of those that have no place."""
    heads = _HEAD_NAMES[type(model)]
    state = model.state_dict()
    given = source.state_dict()
    _fold_projection(given)
    copied, left_out = set(), []
    for name, weight in given.items():
        ours = _our_name(name.removeprefix(f"{source.base_model_prefix}."), heads)
        if type(model) is not FlexiBertModel and not ours.startswith(("lm_head.", "classifier.")):
            ours = f"{model.base_model_prefix}.{ours}"
        if ours not in state:
            left_out.append(name)
            continue
        state[ours].copy_(_our_form(ours, weight).reshape(state[ours].shape))
        copied.add(ours)
    model.tie_weights()
    missing = set(state) - copied - set(model.all_tied_weights_keys)
    assert not missing, missing
    # Biases of keys change nothing; BERT has the decoder's bias under two names.
    return tuple(name for name in left_out if not name.endswith(("key.bias", "predictions.bias")))


def _our_name(name: str, heads: Mapping[str, str]) -> str:
    for theirs, ours in heads.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    for theirs, ours in _SHARED_NAMES.items():
        name = name.replace(theirs, ours, 1)
    # The bias of a separable convolution is that of its second part.
    return name.replace("operation.bias", "operation.pointwise.bias")


def _our_form(ours: str, weight: Tensor) -> Tensor:
    """A depthwise kernel (h, 1, K) has its taps first; all other weights differ in axes of size 1 at most."""
    return weight[:, 0].T if ours.endswith("operation.depthwise") else weight


def _fold_projection(given: dict[str, Tensor]) -> None:
    """Fold FNet's projection of the embeddings into their layer norm, which is exact where it is diagonal.

    Raises:
        InputError: If it is not.
    """
    name = next((name for name in given if name.endswith("embeddings.projection.weight")), None)
    if name is None:
        return
    prefix = name.removesuffix("projection.weight")
    matrix, bias = given.pop(name), given.pop(f"{prefix}projection.bias")
    scale = matrix.diagonal()
    if not torch.equal(matrix, torch.diag(scale)):
        raise InputError(
            f"--from: {name} mixes channels and cannot be folded into the layer norm before it: only a diagonal "
            "projection can. FlexiBERT has no such projection."
        )
    given[f"{prefix}LayerNorm.weight"] = scale * given[f"{prefix}LayerNorm.weight"]
    given[f"{prefix}LayerNorm.bias"] = scale * given[f"{prefix}LayerNorm.bias"] + bias


@torch.no_grad()
def _difference(source: PreTrainedModel, model: FlexiBertPreTrainedModel) -> float:
    """Greatest difference of the outputs on random tokens of two segments, in float64."""
    source, model = source.double().eval(), model.double().eval()
    config = model.config
    length = min(_CHECK_TOKENS, config.max_position_embeddings)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (2, length), generator=generator)
    segments = torch.randint(config.type_vocab_size, (2, length), generator=generator)
    theirs: Any = source(ids, token_type_ids=segments)
    ours: Any = model(ids, token_type_ids=segments)
    model.float()
    name = "last_hidden_state" if type(model) is FlexiBertModel else "logits"
    expected = theirs.prediction_logits if "prediction_logits" in theirs else theirs[name]
    return float((ours[name] - expected).abs().max() / expected.abs().max().clamp(min=1.0))
