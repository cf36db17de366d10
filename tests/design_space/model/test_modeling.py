import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    ConvBertConfig,
    FNetConfig,
)
from transformers.models.convbert.modeling_convbert import ConvBertSelfAttention
from transformers.models.fnet.modeling_fnet import FNetLayer

from design_space import Architecture
from design_space.model import (
    FlexiBertConfig,
    FlexiBertForMaskedLM,
    FlexiBertForSequenceClassification,
    FlexiBertModel,
)
from design_space.model.masking_flexibert import TokenMask
from design_space.model.operations_flexibert import RelativePositionScores

VOCAB, MAX = 40, 16
LONG = 131  # three blocks of queries, the last one not full
OPERATIONS: list[tuple[str, str | int]] = [
    ("sa", "sdp"),
    ("sa", "wma"),
    ("l", "dft"),
    ("l", "dct"),
    ("c", 5),
    ("c", 9),
]
POSITIONS = ["relative_key", "absolute"]
Draw = Callable[[np.random.Generator], Architecture]

each_operation = pytest.mark.parametrize(("operation", "parameter"), OPERATIONS)
each_position = pytest.mark.parametrize("positions", POSITIONS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)  # initial weights come from the global generator


def config(operation: str = "sa", parameter: str | int = "sdp", num_layers: int = 2, **kwargs: Any) -> FlexiBertConfig:
    """Equal layers, weights large enough that every part matters, no dropout."""
    model_dict = {
        "l": num_layers,
        "o": [operation] * num_layers,
        "h": [16] * num_layers,
        "n": [4] * num_layers,
        "f": [[24, 20]] * num_layers,
        "p": [parameter] * num_layers,
    }
    return small({"model_dict": model_dict, **kwargs})


def of(architecture: Architecture, **kwargs: Any) -> FlexiBertConfig:
    return small({"model_dict": architecture.to_model_dict(), **kwargs})


def small(kwargs: dict[str, Any]) -> FlexiBertConfig:
    defaults = {
        "vocab_size": VOCAB,
        "max_position_embeddings": MAX,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.2,
    }
    return FlexiBertConfig(**{**defaults, **kwargs})


def randomize(module: Any, seed: int = 0) -> Any:
    """Draw every weight, so that none hides at 0 or 1; then evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
        for part in module.modules():
            if isinstance(part, nn.LayerNorm):
                part.weight += 1.0  # else each layer sees a faint input
    return module.eval()


def tokens(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(3, VOCAB, shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def padded(rows: list[Tensor], length: int, left: bool) -> tuple[Tensor, Tensor]:
    """Rows of ids padded to a length with arbitrary ids, and their mask."""
    ids, mask = tokens(len(rows), length, seed=99), torch.zeros(len(rows), length, dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(length - len(row), length) if left else slice(0, len(row))
        ids[number, place], mask[number, place] = row, 1
    return ids, mask


# Padding


@each_operation
@each_position
@pytest.mark.parametrize("transform_norm", ["ortho", "backward"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@torch.no_grad()
def test_padding_changes_no_real_token(
    operation: str, parameter: str | int, positions: str, transform_norm: str, implementation: str
) -> None:
    given = config(operation, parameter, 3, position_embedding_type=positions, transform_norm=transform_norm)
    model = randomize(FlexiBertModel._from_config(given, attn_implementation=implementation))
    assert model.config._attn_implementation == implementation
    rows = [tokens(length, seed=length) for length in (7, 1, 11)]
    alone = [model(row[None]).last_hidden_state[0] for row in rows]
    for length, left in ((11, False), (11, True), (14, False), (14, True)):
        ids, mask = padded(rows, length, left)
        for dtype in (torch.long, torch.bool):
            together = model(ids, attention_mask=mask.to(dtype)).last_hidden_state
            for number, expected in enumerate(alone):
                torch.testing.assert_close(together[number][mask[number] == 1], expected, atol=1e-5, rtol=0)


@each_operation
@each_position
@torch.no_grad()
def test_a_full_mask_is_no_mask(operation: str, parameter: str | int, positions: str) -> None:
    model = randomize(FlexiBertModel(config(operation, parameter, position_embedding_type=positions)))
    ids = tokens(2, 9)
    with_mask = model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    torch.testing.assert_close(with_mask, model(ids).last_hidden_state, atol=1e-5, rtol=0)


@each_operation
@each_position
@torch.no_grad()
def test_order_of_tokens_matters(operation: str, parameter: str | int, positions: str) -> None:
    model = randomize(FlexiBertModel(config(operation, parameter, position_embedding_type=positions)))
    ids = tokens(1, 8)
    forth, back = model(ids).last_hidden_state, model(ids.flip(1)).last_hidden_state.flip(1)
    assert (forth - back).abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@each_operation
@each_position
@torch.no_grad()
def test_a_row_without_a_real_token_stays_finite(
    operation: str, parameter: str | int, positions: str, dtype: torch.dtype
) -> None:
    model = FlexiBertModel(config(operation, parameter, position_embedding_type=positions)).eval().to(dtype)
    ids = tokens(2, 5)
    mask = torch.tensor([[0] * 5, [1] * 5])
    assert model(ids, attention_mask=mask).last_hidden_state.isfinite().all()


# Gradients


@each_position
@pytest.mark.parametrize("seed", range(8))
def test_every_parameter_gets_a_gradient(draw: Draw, seed: int, positions: str) -> None:
    architecture = draw(np.random.default_rng(seed))
    model = FlexiBertForMaskedLM(of(architecture, position_embedding_type=positions)).train()
    ids, mask = padded([tokens(12, seed=seed), tokens(8, seed=seed + 1)], 12, left=False)
    model(ids, attention_mask=mask, token_type_ids=ids % 2, labels=ids).loss.backward()
    missing = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 1e-9
    ]
    assert missing == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_every_parameter_of_a_classifier_gets_a_gradient(pooling: str) -> None:
    model = FlexiBertForSequenceClassification(config(classifier_pooling=pooling)).train()
    model(tokens(4, 6), labels=torch.tensor([0, 1, 1, 0])).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 1e-9] == []


@each_operation
@each_position
def test_gradient_is_the_finite_difference(operation: str, parameter: str | int, positions: str) -> None:
    model = randomize(FlexiBertModel(config(operation, parameter, 1, position_embedding_type=positions))).double()
    ids, mask = padded([tokens(5), tokens(3)], 5, left=True)
    weights = normal(2, 5, 16).double() * mask[..., None]
    tensors = list(model.layers.parameters())
    directions = [normal(*tensor.shape, seed=number).double() for number, tensor in enumerate(tensors)]

    def loss() -> Tensor:
        return (model(ids, attention_mask=mask).last_hidden_state * weights).sum()

    loss().backward()
    slope = sum((tensor.grad * way).sum().item() for tensor, way in zip(tensors, directions, strict=True))
    values = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for tensor, way in zip(tensors, directions, strict=True):
                tensor += step * way
            values.append(loss().item())
            for tensor, way in zip(tensors, directions, strict=True):
                tensor -= step * way
    assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4)


# Parity with transformers, torch and scipy


def bert_names(name: str) -> str:
    """Our name of a weight of BERT."""
    for theirs, ours in (
        ("encoder.layer.", "layers."),
        ("attention.self.", "operation."),
        ("attention.output.dense", "operation.output"),
        ("attention.output.LayerNorm", "operation_norm"),
        ("intermediate.dense", "feed_forward.stack.0"),
        ("output.LayerNorm", "feed_forward_norm"),
        ("output.dense", "feed_forward.output"),
    ):
        name = name.replace(theirs, ours)
    return name


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("with_key_bias", [False, True])
@torch.no_grad()
def test_self_attention_with_absolute_positions_is_bert(implementation: str, with_key_bias: bool) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    bert = BertModel(
        BertConfig(vocab_size=VOCAB, max_position_embeddings=MAX, **sizes, attn_implementation="eager"),
        add_pooling_layer=False,
    )
    bert = randomize(bert)
    for layer in bert.encoder.layer:
        if not with_key_bias:
            layer.attention.self.key.bias.zero_()
    model_dict = {"l": 3, "o": ["sa"] * 3, "h": [32] * 3, "n": [4] * 3, "f": [[48]] * 3, "p": ["sdp"] * 3}
    given = small({"model_dict": model_dict, "position_embedding_type": "absolute"})
    model = FlexiBertModel._from_config(given, attn_implementation=implementation).eval()
    weights = {bert_names(name): weight for name, weight in bert.state_dict().items() if "key.bias" not in name}
    model.load_state_dict(weights, strict=True)
    ids, mask = padded([tokens(10), tokens(6), tokens(1)], 10, left=False)
    for attention_mask in (None, mask):
        expected = bert(ids, attention_mask=attention_mask, token_type_ids=ids % 2, output_hidden_states=True)
        output = model(ids, attention_mask=attention_mask, token_type_ids=ids % 2, output_hidden_states=True)
        real = torch.ones_like(ids).bool() if attention_mask is None else attention_mask.bool()
        for ours, theirs in zip(output.hidden_states, expected.hidden_states, strict=True):
            torch.testing.assert_close(ours[real], theirs[real], atol=1e-5, rtol=0)


@torch.no_grad()
def test_fourier_layer_is_that_of_fnet() -> None:
    fnet_config = FNetConfig(hidden_size=16, intermediate_size=24, hidden_act="gelu", hidden_dropout_prob=0.0)
    fnet = randomize(FNetLayer(fnet_config))
    model_dict = {"l": 1, "o": ["l"], "h": [16], "n": [2], "f": [[24]], "p": ["dft"]}
    given = small({"model_dict": model_dict, "position_embedding_type": "absolute", "transform_norm": "backward"})
    layer = FlexiBertModel(given).eval().layers[0]
    layer.load_state_dict(
        {
            name.replace("fourier.output.LayerNorm", "operation_norm")
            .replace("intermediate.dense", "feed_forward.stack.0")
            .replace("output.dense", "feed_forward.output")
            .replace("output.LayerNorm", "feed_forward_norm"): weight
            for name, weight in fnet.state_dict().items()
        },
        strict=True,
    )
    x = normal(3, 11, 16)
    ours, _ = layer(x, TokenMask.from_attention_mask(None, x))
    torch.testing.assert_close(ours, fnet(x)[0], atol=1e-5, rtol=0)


def transform(x: Tensor, kind: str, norm: str, mask: Tensor | None = None) -> Tensor:
    given = config("l", kind, 1, position_embedding_type="absolute", transform_norm=norm)
    given.model_dict["h"], given.model_dict["n"] = [x.shape[-1]], [1]  # type: ignore[index]
    operation = FlexiBertModel(given).eval().layers[0].operation
    return operation(x, TokenMask.from_attention_mask(mask, x), False)[0]


@pytest.mark.parametrize("norm", ["ortho", "backward"])
@pytest.mark.parametrize(("num_tokens", "width"), [(1, 16), (12, 16), (16, 16), (13, 18)])
@torch.no_grad()
def test_transforms_are_those_of_torch_and_scipy(norm: str, num_tokens: int, width: int) -> None:
    x = normal(2, num_tokens, width)
    fourier = torch.fft.fftn(x, dim=(1, 2), norm=norm).real
    torch.testing.assert_close(transform(x, "dft", norm), fourier, atol=1e-4, rtol=1e-5)
    cosine = torch.from_numpy(scipy.fft.dctn(x.numpy(), type=2, axes=(1, 2), norm=norm))
    torch.testing.assert_close(transform(x, "dct", norm), cosine, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("norm", ["ortho", "backward"])
@torch.no_grad()
def test_transforms_run_over_the_real_tokens_of_each_row(norm: str) -> None:
    x = normal(2, 9, 16)
    mask = torch.tensor([[1] * 6 + [0] * 3, [0] * 5 + [1] * 4])
    for kind in ("dft", "dct"):
        mixed = transform(x, kind, norm, mask)
        for row, real in zip(x, mask.bool(), strict=True):
            number = int(not real[0])
            part = row[real]
            expected = (
                torch.fft.fftn(part, norm=norm).real
                if kind == "dft"
                else torch.from_numpy(scipy.fft.dctn(part.numpy(), norm=norm))
            )
            torch.testing.assert_close(mixed[number][real], expected, atol=1e-4, rtol=1e-5)
            assert mixed[number][~real].abs().max() == 0.0


@torch.no_grad()
def test_long_transform_keeps_its_accuracy() -> None:
    x = normal(1, 512, 32)
    expected = torch.fft.fftn(x.double(), dim=(1, 2), norm="ortho").real.float()
    torch.testing.assert_close(transform(x, "dft", "ortho"), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_heads", [1, 2, 4, 8])
@pytest.mark.parametrize("kernel_size", [5, 9])
@torch.no_grad()
def test_convolution_with_absolute_positions_is_convbert(num_heads: int, kernel_size: int) -> None:
    convbert = randomize(
        ConvBertSelfAttention(
            ConvBertConfig(
                hidden_size=32,
                num_attention_heads=num_heads,
                head_ratio=2,
                conv_kernel_size=kernel_size,
                attention_probs_dropout_prob=0.0,
            )
        )
    )
    theirs = convbert.state_dict()
    theirs["key.bias"].zero_()
    model_dict = {"l": 1, "o": ["c"], "h": [32], "n": [num_heads], "f": [[8]], "p": [kernel_size]}
    given = small({"model_dict": model_dict, "position_embedding_type": "absolute"})
    operation = FlexiBertModel(given).eval().layers[0].operation
    copied = {f"{part}.{kind}": theirs[f"{part}.{kind}"] for part in ("query", "value") for kind in ("weight", "bias")}
    copied["key.weight"] = theirs["key.weight"]
    copied["depthwise"] = theirs["key_conv_attn_layer.depthwise.weight"][:, 0].T
    copied["pointwise.weight"] = theirs["key_conv_attn_layer.pointwise.weight"][..., 0]
    copied["pointwise.bias"] = theirs["key_conv_attn_layer.bias"][:, 0]
    for kind in ("weight", "bias"):
        copied[f"kernel.{kind}"] = theirs[f"conv_kernel_layer.{kind}"]
        copied[f"convolved.{kind}"] = theirs[f"conv_out_layer.{kind}"]
    copied["output.weight"], copied["output.bias"] = torch.eye(32), torch.zeros(32)
    operation.load_state_dict(copied, strict=True)
    x = normal(2, 12, 32)
    ours, probabilities = operation(x, TokenMask.from_attention_mask(None, x), True)
    context, expected_probabilities = convbert(x)
    torch.testing.assert_close(ours, context, atol=1e-5, rtol=0)
    torch.testing.assert_close(probabilities, expected_probabilities, atol=1e-5, rtol=0)


def distance_rows(embedding: nn.Embedding, num_tokens: int, max_positions: int) -> Tensor:
    """Embedding[i − j + max − 1], shape (T, T, d)."""
    place = torch.arange(num_tokens)
    return embedding(place[:, None] - place[None, :] + max_positions - 1)


@pytest.mark.parametrize("num_tokens", [1, 2, 5, 63, 64, 65, 127, LONG - 1, LONG])
@torch.no_grad()
def test_relative_scores_by_direct_sum(num_tokens: int) -> None:
    relative = randomize(RelativePositionScores(LONG, 6))
    query = normal(2, 3, num_tokens, 6)
    expected = torch.einsum("bhid,ijd->bhij", query, distance_rows(relative.distance_embedding, num_tokens, LONG))
    torch.testing.assert_close(relative(query), expected, atol=1e-5, rtol=0)


@each_position
@pytest.mark.parametrize("parameter", ["sdp", "wma"])
@torch.no_grad()
def test_attention_by_direct_sum(parameter: str, positions: str) -> None:
    operation = (
        randomize(FlexiBertModel(config("sa", parameter, 1, position_embedding_type=positions))).layers[0].operation
    )
    x = normal(2, 7, 16)
    query, key, value = (
        part(x).unflatten(-1, (4, 4)).transpose(1, 2) for part in (operation.query, operation.key, operation.value)
    )
    weighted = torch.einsum("bhid,hde->bhie", query, operation.weighting) if parameter == "wma" else query
    scores = torch.einsum("bhie,bhje->bhij", weighted, key)
    if positions == "relative_key":
        rows = distance_rows(operation.attention.relative.distance_embedding, 7, MAX)
        scores = scores + torch.einsum("bhid,ijd->bhij", query, rows)
    expected = (scores / math.sqrt(4)).softmax(-1)
    context = torch.einsum("bhij,bhjd->bihd", expected, value).flatten(2)
    for output_attentions in (False, True):
        mixed, probabilities = operation(x, TokenMask.from_attention_mask(None, x), output_attentions)
        torch.testing.assert_close(mixed, operation.output(context), atol=1e-5, rtol=0)
    torch.testing.assert_close(probabilities, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_linear_transform_adds_attention_by_distance_alone() -> None:
    operation = randomize(FlexiBertModel(config("l", "dft", 1))).layers[0].operation
    x = normal(2, 7, 16)
    query, value = (part(x).unflatten(-1, (4, 4)).transpose(1, 2) for part in (operation.query, operation.value))
    rows = distance_rows(operation.attention.relative.distance_embedding, 7, MAX)
    probabilities = (torch.einsum("bhid,ijd->bhij", query, rows) / 2).softmax(-1)
    context = torch.einsum("bhij,bhjd->bihd", probabilities, value).flatten(2)
    expected = torch.fft.fftn(x, dim=(1, 2), norm="ortho").real + operation.output(context)
    mixed, _ = operation(x, TokenMask.from_attention_mask(None, x), False)
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=0)


def test_wma_starts_as_scaled_dot_product() -> None:
    model = FlexiBertModel(config("sa", "wma"))
    assert torch.equal(model.layers[1].operation.weighting, torch.eye(4).expand(4, 4, 4))


# Implementations


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_eager_equals_sdpa(draw: Draw, seed: int, positions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = of(draw(np.random.default_rng(seed)), position_embedding_type=positions)
    fused = F.scaled_dot_product_attention
    calls: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        calls.append(1)
        return fused(*args, **kwargs)

    monkeypatch.setattr(F, "scaled_dot_product_attention", counted)
    ids, mask = padded([tokens(9), tokens(5)], 9, left=True)
    outputs = {}
    for implementation in ("sdpa", "eager"):
        calls.clear()
        model = randomize(FlexiBertModel._from_config(given, attn_implementation=implementation))
        outputs[implementation] = model(ids, attention_mask=mask).last_hidden_state[mask == 1]
        attending = [operation for operation in given.model_dict["o"] if operation != "l"]  # type: ignore[index]
        # On a CPU no fused kernel takes position scores that need a gradient.
        is_fused = implementation == "sdpa" and positions == "absolute"
        assert len(calls) == (len(attending) if is_fused else 0)
    torch.testing.assert_close(outputs["eager"], outputs["sdpa"], atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")
@each_position
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_gradient_checkpointing_changes_neither_loss_nor_gradients(positions: str, use_reentrant: bool) -> None:
    columns = {"o": ["sa", "l", "c", "l", "sa"], "h": [16, 16, 32, 32, 16], "n": [2, 4, 4, 2, 4]}
    model_dict = {"l": 5, **columns, "f": [[24]] * 5, "p": ["wma", "dft", 5, "dct", "sdp"]}
    model = FlexiBertForMaskedLM(small({"model_dict": model_dict, "position_embedding_type": positions})).train()
    ids, mask = padded([tokens(9), tokens(5)], 9, left=False)
    calls: list[int] = []
    for layer in model.flexibert.layers:
        layer.operation.register_forward_hook(lambda *_: calls.append(1))
    results = []
    for checkpointing in (False, True):
        calls.clear()
        model.zero_grad()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
            model.enable_input_require_grads()
        loss = model(ids, attention_mask=mask, labels=ids).loss
        loss.backward()
        results.append((loss.item(), [parameter.grad.clone() for parameter in model.parameters()], len(calls)))
    (plain, plain_gradients, num_plain), (saved, saved_gradients, num_saved) = results
    assert (num_plain, num_saved) == (5, 10)
    assert saved == pytest.approx(plain, rel=1e-6)
    for ours, theirs in zip(saved_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@each_operation
@each_position
@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_is_finite_and_near_float32(
    operation: str, parameter: str | int, positions: str, autocast: bool
) -> None:
    model = FlexiBertForMaskedLM(config(operation, parameter, position_embedding_type=positions)).eval()
    ids, mask = padded([tokens(9), tokens(5)], 9, left=False)
    with torch.no_grad():
        exact = model(ids, attention_mask=mask).logits
    if autocast:
        with torch.autocast("cpu", torch.bfloat16):
            output = model(ids, attention_mask=mask, labels=ids)
    else:
        model.to(torch.bfloat16)
        output = model(ids, attention_mask=mask, labels=ids)
        assert output.logits.dtype == torch.bfloat16
    assert output.loss.dtype == torch.float32
    output.loss.backward()
    assert output.logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert (output.logits.float() - exact)[mask == 1].abs().mean() < 0.05 * exact.abs().mean()


# Outputs


@each_position
@torch.no_grad()
def test_hidden_states_and_attentions_have_each_layers_shape(positions: str) -> None:
    columns = {"o": ["sa", "c", "c"], "h": [32, 16, 24], "n": [2, 4, 1]}
    model_dict = {"l": 3, **columns, "f": [[8]] * 3, "p": ["sdp", 5, 9]}
    given = small({"model_dict": model_dict, "position_embedding_type": positions})
    assert (given.num_hidden_layers, given.embedding_size, given.hidden_size) == (3, 32, 24)
    model = FlexiBertModel(given).eval()
    ids, mask = padded([tokens(9), tokens(5)], 9, left=True)
    output = model(ids, attention_mask=mask, output_hidden_states=True, output_attentions=True)
    assert [tuple(x.shape) for x in output.hidden_states] == [(2, 9, width) for width in (32, 32, 16, 24)]
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert [tuple(x.shape) for x in output.attentions] == [(2, heads, 9, 9) for heads in (2, 2, 1)]
    for probabilities in output.attentions:
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(probabilities.shape[:-1]))
        assert probabilities[1, :, :, :4].abs().max() == 0.0
    plain = model(ids, attention_mask=mask)
    assert plain.hidden_states is None
    assert plain.attentions is None
    torch.testing.assert_close(plain.last_hidden_state, output.last_hidden_state, atol=1e-5, rtol=0)


@torch.no_grad()
def test_heads_pass_hidden_states_and_attentions_on() -> None:
    for model in (FlexiBertForMaskedLM(config()), FlexiBertForSequenceClassification(config())):
        output = model.eval()(tokens(2, 5), output_hidden_states=True, output_attentions=True)
        assert [len(output.hidden_states), len(output.attentions)] == [3, 2]


@pytest.mark.parametrize("kind", ["dft", "dct"])
@torch.no_grad()
def test_transform_with_absolute_positions_has_no_attentions_to_give(kind: str) -> None:
    absolute = FlexiBertModel(config("l", kind, position_embedding_type="absolute")).eval()
    with pytest.raises(
        ValueError, match=rf"output_attentions: layer 0 \(l, {kind}\) with absolute positions has no attention"
    ):
        absolute(tokens(1, 5), output_attentions=True)
    relative = FlexiBertModel(config("l", kind)).eval()
    assert relative(tokens(1, 5), output_attentions=True).attentions[0].shape == (1, 4, 5, 5)


@torch.no_grad()
def test_plain_tuples_on_request() -> None:
    ids = tokens(2, 5)
    model = FlexiBertForMaskedLM(config()).eval()
    loss, logits = model(ids, labels=ids, return_dict=False)
    output = model(ids, labels=ids)
    assert torch.equal(loss, output.loss)
    assert torch.equal(logits, output.logits)
    (states,) = model.flexibert(ids, return_dict=False)
    assert torch.equal(states, model.flexibert(ids).last_hidden_state)


@torch.no_grad()
def test_sequence_longer_than_the_positions_is_refused() -> None:
    for positions in POSITIONS:
        model = FlexiBertModel(config(position_embedding_type=positions)).eval()
        assert model(tokens(1, MAX)).last_hidden_state.shape == (1, MAX, 16)
        with pytest.raises(ValueError, match=rf"at most max_position_embeddings = {MAX} tokens, got {MAX + 1}"):
            model(tokens(1, MAX + 1))


@torch.no_grad()
def test_either_ids_or_embeddings() -> None:
    model = FlexiBertModel(config()).eval()
    ids = tokens(2, 5)
    words = model.get_input_embeddings()(ids)
    assert torch.equal(model(inputs_embeds=words).last_hidden_state, model(ids).last_hidden_state)
    for given in ({}, {"input_ids": ids, "inputs_embeds": words}):
        with pytest.raises(ValueError, match="give either input_ids or inputs_embeds"):
            model(**given)


@torch.no_grad()
def test_masked_loss_counts_the_labelled_places_alone() -> None:
    model = FlexiBertForMaskedLM(config()).eval()
    ids, labels = tokens(2, 6), torch.full((2, 6), -100)
    labels[0, 2], labels[1, 5] = 7, 30
    output = model(ids, labels=labels)
    logarithms = output.logits.log_softmax(-1)
    assert output.logits.shape == (2, 6, VOCAB)
    assert output.loss.item() == pytest.approx(-(logarithms[0, 2, 7] + logarithms[1, 5, 30]).item() / 2, rel=1e-5)
    assert model(ids).loss is None


@torch.no_grad()
def test_losses_of_a_classifier() -> None:
    ids = tokens(3, 6)
    classes = FlexiBertForSequenceClassification(config(num_labels=4)).eval()
    output = classes(ids, labels=torch.tensor([1, 0, 3]))
    assert output.logits.shape == (3, 4)
    expected = -output.logits.log_softmax(-1)[[0, 1, 2], [1, 0, 3]].mean()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    score = FlexiBertForSequenceClassification(config(num_labels=1)).eval()
    output = score(ids, labels=torch.tensor([1.0, 2.0, 4.5]))
    expected = ((output.logits[:, 0] - torch.tensor([1.0, 2.0, 4.5])) ** 2).mean()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    several = FlexiBertForSequenceClassification(config(num_labels=2, problem_type="multi_label_classification")).eval()
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    output = several(ids, labels=labels)
    p = output.logits.sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "first"])
@torch.no_grad()
def test_classifier_reads_real_tokens_on_either_side_of_padding(pooling: str) -> None:
    model = randomize(FlexiBertForSequenceClassification(config(classifier_pooling=pooling)))
    rows = [tokens(length, seed=length) for length in (4, 9, 1)]
    alone = torch.cat([model(row[None]).logits for row in rows])
    for left in (False, True):
        ids, mask = padded(rows, 12, left)
        for dtype in (torch.long, torch.bool):
            logits = model(ids, attention_mask=mask.to(dtype)).logits
            torch.testing.assert_close(logits, alone, atol=1e-5, rtol=0)
    states = model.flexibert(rows[1][None]).last_hidden_state
    pooled = states[:, 0] if pooling == "first" else states.mean(1)
    head = model.classifier
    expected = head.out_proj(torch.tanh(head.dense(pooled)))
    torch.testing.assert_close(alone[1:2], expected, atol=1e-5, rtol=0)


# Saving and loading


@pytest.mark.parametrize("positions", POSITIONS)
@torch.no_grad()
def test_saved_model_loads_with_equal_logits_and_a_tied_decoder(tmp_path: Path, draw: Draw, positions: str) -> None:
    architecture = draw(np.random.default_rng(4))
    model = randomize(FlexiBertForMaskedLM(of(architecture, position_embedding_type=positions, transform_norm="ortho")))
    model.save_pretrained(tmp_path)
    loaded = FlexiBertForMaskedLM.from_pretrained(tmp_path).eval()
    assert loaded.config.model_dict == architecture.to_model_dict()
    assert loaded.config.position_embedding_type == positions
    ids, mask = padded([tokens(9), tokens(5)], 9, left=False)
    assert torch.equal(loaded(ids, attention_mask=mask).logits, model(ids, attention_mask=mask).logits)
    assert loaded.lm_head.decoder.weight is loaded.flexibert.embeddings.word_embeddings.weight
    assert loaded.num_parameters() == model.num_parameters()


@torch.no_grad()
def test_auto_classes_load_what_was_saved(tmp_path: Path) -> None:
    ids = tokens(2, 6)
    masked = randomize(FlexiBertForMaskedLM(config()))
    classifier = randomize(FlexiBertForSequenceClassification(config(num_labels=3)))
    masked.save_pretrained(tmp_path / "masked")
    classifier.save_pretrained(tmp_path / "classifier")
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path / "masked").eval()
    assert isinstance(loaded, FlexiBertForMaskedLM)
    assert torch.equal(loaded(ids).logits, masked(ids).logits)
    scored = AutoModelForSequenceClassification.from_pretrained(tmp_path / "classifier").eval()
    assert isinstance(scored, FlexiBertForSequenceClassification)
    assert torch.equal(scored(ids).logits, classifier(ids).logits)
    encoder = AutoModel.from_pretrained(tmp_path / "masked").eval()
    assert isinstance(encoder, FlexiBertModel)
    assert torch.equal(encoder(ids).last_hidden_state, masked.flexibert(ids).last_hidden_state)
    started = AutoModelForSequenceClassification.from_pretrained(tmp_path / "masked", num_labels=5).eval()
    assert torch.equal(started.flexibert(ids).last_hidden_state, masked.flexibert(ids).last_hidden_state)
    assert started(ids).logits.shape == (2, 5)
    assert isinstance(AutoConfig.from_pretrained(tmp_path / "masked"), FlexiBertConfig)


def test_resized_vocabulary_stays_tied() -> None:
    model = FlexiBertForMaskedLM(config())
    model.resize_token_embeddings(VOCAB + 3, mean_resizing=False)
    assert model.config.vocab_size == VOCAB + 3
    assert model(tokens(1, 4) + 3).logits.shape == (1, 4, VOCAB + 3)
    assert model.lm_head.decoder.weight is model.flexibert.embeddings.word_embeddings.weight


def test_same_seed_gives_the_same_weights() -> None:
    weights = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        weights.append(FlexiBertModel(config("c", 5)).layers[0].operation.depthwise.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


# Configuration


def test_default_is_bert_mini() -> None:
    given = FlexiBertConfig()
    assert (given.num_hidden_layers, given.embedding_size, given.hidden_size, given.vocab_size) == (4, 256, 256, 50265)
    assert given.model_dict is not None
    assert given.model_dict["f"] == [[1024]] * 4
    assert given.position_embedding_type == "relative_key"


def test_configuration_of_an_architecture_keeps_both(tmp_path: Path, draw: Draw) -> None:
    architecture = draw(np.random.default_rng(1))
    given = FlexiBertConfig.from_architecture(architecture, vocab_size=77, classifier_pooling="first")
    given.save_pretrained(tmp_path)
    read = FlexiBertConfig.from_pretrained(tmp_path)
    assert read.model_dict is not None
    assert Architecture.from_model_dict(read.model_dict) == architecture
    assert (read.vocab_size, read.classifier_pooling) == (77, "first")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("position_embedding_type", "position_embedding_type must be one of relative_key, absolute, got 'rotary'"),
        ("transform_norm", "transform_norm must be one of ortho, backward, got 'rotary'"),
        ("classifier_pooling", "classifier_pooling must be one of mean, first, got 'rotary'"),
    ],
)
def test_unknown_option_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlexiBertConfig(**{name: "rotary"})


ONE = {"l": 1, "o": ["sa"], "h": [16], "n": [4], "f": [[8]], "p": ["sdp"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"o": ["rnn"]}, "layer 0: o must be sa, l or c, got 'rnn'"),
        ({"o": [["sa_sdp_8", "sa_sdp_8"]]}, "layer 0: one operation a head is not supported"),
        ({"h": [18]}, "layer 0: h must be divisible by n, got 18 and 4"),
        ({"l": 2}, "o must be a list of l = 2 entries, got 1"),
        ({"f": [[8], [8]]}, "f must be a list of l = 1 entries, got 2"),
    ],
)
def test_wrong_model_dict_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlexiBertConfig(model_dict={**ONE, **change})


@pytest.mark.parametrize("key", list(ONE))
def test_missing_key_of_model_dict_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="model_dict must have the keys l, o, h, n, f and p, got "):
        FlexiBertConfig(model_dict={name: value for name, value in ONE.items() if name != key})


@pytest.mark.parametrize(
    "change",
    [
        {"p": ["wmaa"]},
        {"o": ["l"], "p": ["fourier"]},
        {"o": ["c"], "p": [4]},
        {"o": ["c"], "p": [5], "h": [9], "n": [1]},
        {"f": [[]]},
        {"x": [1]},
        {"l": 0, "o": [], "h": [], "n": [], "f": [], "p": []},
    ],
    ids=["sa parameter", "l parameter", "even kernel", "odd width", "no feed-forward", "unknown key", "no layer"],
)
def test_model_dict_that_an_architecture_refuses_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        FlexiBertConfig(model_dict={**ONE, **change})


def test_default_architecture_is_not_shared() -> None:
    given = FlexiBertConfig()
    assert given.model_dict is not None
    given.model_dict["f"][0].append(8)
    try:
        assert FlexiBertConfig().model_dict["f"][0] == [1024]  # type: ignore[index]
    finally:
        given.model_dict["f"][0].pop()
