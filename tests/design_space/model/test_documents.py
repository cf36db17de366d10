"""Packed rows: each document is encoded as if it were alone, whatever mixes the tokens."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from torch import Tensor, nn

from design_space import Architecture, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM, FlexiBertModel
from design_space.model.masking_flexibert import TokenMask

VOCAB, MAX = 40, 150
OPERATIONS = [("sa", "sdp"), ("sa", "wma"), ("l", "dft"), ("l", "dct"), ("c", "5"), ("c", "9")]
POSITIONS = ["relative_key", "absolute"]
SHORT = [[5, 1, 7], [3, 6], [2, 1, 1, 4, 5]]  # tokens of each document of each row
LONG = [[70, 60], [3, 129]]  # more than one block of queries
Draw = Callable[[np.random.Generator], Architecture]

each_operation = pytest.mark.parametrize(("operation", "parameter"), OPERATIONS)
each_position = pytest.mark.parametrize("positions", POSITIONS)


def built(
    architecture: Architecture, model_class: Any = FlexiBertModel, implementation: str = "sdpa", **kw: Any
) -> Any:
    """A model whose weights are all drawn, so that none hides at 0 or 1, in evaluation mode."""
    defaults = {"vocab_size": VOCAB, "max_position_embeddings": MAX, "layer_norm_eps": 1e-5}
    config = FlexiBertConfig.from_architecture(architecture, **{**defaults, **kw})
    model = model_class._from_config(config, attn_implementation=implementation).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
        for part in model.modules():
            if isinstance(part, nn.LayerNorm):
                part.weight += 1.0  # else each layer sees a faint input
    return model


def of(operation: str, parameter: str, num_layers: int = 3) -> Architecture:
    return Architecture((Layer(operation, parameter, 16, 4, (24,)),) * num_layers)


def packed(rows: list[list[int]], num_padding: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and document ids of rows of documents; padding carries arbitrary ids and the next document's number."""
    num_tokens = max(map(sum, rows)) + num_padding
    ids = torch.randint(3, VOCAB, (len(rows), num_tokens), generator=torch.Generator().manual_seed(1))
    mask, documents = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, lengths in enumerate(rows):
        mask[row, : sum(lengths)] = 1
        for number, length in enumerate(lengths):
            documents[row, sum(lengths[:number]) :] = number
            documents[row, sum(lengths[:number]) + length :] = number + 1
    return ids, mask, documents


def spans(rows: list[list[int]]) -> list[tuple[int, slice]]:
    """Row and tokens of each document."""
    return [
        (row, slice(sum(lengths[:number]), sum(lengths[: number + 1])))
        for row, lengths in enumerate(rows)
        for number in range(len(lengths))
    ]


def assert_each_is_as_alone(model: Any, rows: list[list[int]]) -> None:
    for num_padding in (0, 4):
        ids, mask, documents = packed(rows, num_padding)
        last = documents.clamp(max=(documents * mask).amax(1, keepdim=True))  # padding within the last document
        together = [model(ids, document_ids=documents), model(ids, attention_mask=mask, document_ids=last)]
        for row, span in spans(rows):
            alone = model(ids[row : row + 1, span])[0][0]
            for output in together:
                torch.testing.assert_close(output[0][row, span], alone, atol=1e-5, rtol=0)


@each_operation
@each_position
@pytest.mark.parametrize("norm", ["ortho", "backward"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@torch.no_grad()
def test_a_document_of_a_packed_row_is_as_alone(
    operation: str, parameter: str, positions: str, norm: str, implementation: str
) -> None:
    model = built(
        of(operation, parameter), FlexiBertModel, implementation, position_embedding_type=positions, transform_norm=norm
    )
    assert_each_is_as_alone(model, SHORT)


@each_operation
@each_position
@torch.no_grad()
def test_a_document_of_a_long_row_is_as_alone(operation: str, parameter: str, positions: str) -> None:
    assert_each_is_as_alone(built(of(operation, parameter, 1), position_embedding_type=positions), LONG)


@each_position
@pytest.mark.parametrize("seed", range(6))
@torch.no_grad()
def test_any_architecture_keeps_documents_apart(draw: Draw, positions: str, seed: int) -> None:
    assert_each_is_as_alone(built(draw(np.random.default_rng(seed)), position_embedding_type=positions), SHORT)


@each_operation
@each_position
def test_gradients_are_those_of_the_documents_alone(operation: str, parameter: str, positions: str) -> None:
    model = built(of(operation, parameter, 2), position_embedding_type=positions)
    ids, mask, documents = packed(SHORT, 3)
    weights = torch.randn(*ids.shape, 16, generator=torch.Generator().manual_seed(2))
    found = []
    for is_packed in (True, False):
        model.zero_grad()
        if is_packed:
            output = model(ids, attention_mask=mask, document_ids=documents)[0]
            (output * weights * mask[..., None]).sum().backward()
        else:
            for row, span in spans(SHORT):
                (model(ids[row : row + 1, span])[0][0] * weights[row, span]).sum().backward()
        found.append({name: part.grad for name, part in model.named_parameters() if part.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[1].items():
        error = (found[0][name] - gradient).abs().max() / gradient.abs().max().clamp(min=1e-3)
        assert error < 1e-5, name


def test_places_and_lengths_by_hand() -> None:
    documents = torch.tensor([[4, 4, 7, 7, 7, 9], [0, 0, 0, 0, 0, 0]])
    real = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0]])
    mask = TokenMask.from_attention_mask(real, torch.zeros(2, 6, 1), documents)
    assert mask.positions[0, :5].tolist() == [0, 1, 0, 1, 2]
    assert mask.positions[1, 1:4].tolist() == [0, 1, 2]
    assert mask.lengths[..., 0].tolist() == [[2, 2, 3, 3, 3, 1], [3] * 6]
    assert mask.sees is not None
    assert mask.sees[0].int().tolist() == [[1, 1, 0, 0, 0, 0]] * 2 + [[0, 0, 1, 1, 1, 0]] * 3 + [[0] * 6]


@pytest.mark.parametrize("norm", ["ortho", "backward"])
@torch.no_grad()
def test_transforms_are_those_of_scipy_for_each_document(norm: str) -> None:
    x = torch.randn(3, 13, 16, generator=torch.Generator().manual_seed(3))
    mask = TokenMask.from_attention_mask(None, x, packed(SHORT)[2])
    for kind in ("dft", "dct"):
        model = built(of("l", kind, 1), position_embedding_type="absolute", transform_norm=norm)
        mixed, _ = model.layers[0].operation(x, mask, False)
        for row, span in spans(SHORT):
            part = x[row, span].numpy()
            expected = scipy.fft.fftn(part, norm=norm).real if kind == "dft" else scipy.fft.dctn(part, norm=norm)
            np.testing.assert_allclose(mixed[row, span].numpy(), expected, atol=1e-5, rtol=1e-5)


@each_operation
@each_position
@torch.no_grad()
def test_one_document_a_row_is_no_document_ids(operation: str, parameter: str, positions: str) -> None:
    model = built(of(operation, parameter), position_embedding_type=positions)
    ids, mask, _ = packed(SHORT)
    rows = torch.arange(3)[:, None].expand_as(ids)
    for given in ({}, {"attention_mask": mask}):
        assert torch.equal(model(ids, **given, document_ids=rows)[0], model(ids, **given)[0])


@torch.no_grad()
def test_attention_across_a_border_is_nothing() -> None:
    model = built(Architecture((Layer("sa", "sdp", 16, 2, (8,)), Layer("l", "dct", 16, 2, (8,)))))
    ids, _, documents = packed(SHORT)
    own = documents[:, None, :, None] == documents[:, None, None, :]
    for probabilities in model(ids, document_ids=documents, output_attentions=True).attentions:
        assert probabilities[~own.expand_as(probabilities)].abs().max() == 0.0
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(3, 2, 13))


EVERY_OPERATION = Architecture(
    tuple(
        Layer(operation, parameter, width, 2, (8,))
        for (operation, parameter), width in zip(OPERATIONS[:5], (16, 16, 32, 32, 16), strict=True)
    )
)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")
@each_position
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_gradient_checkpointing_changes_no_gradient(positions: str, use_reentrant: bool) -> None:
    model = built(EVERY_OPERATION, FlexiBertForMaskedLM, position_embedding_type=positions).train()
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    ids, _, documents = packed(SHORT)
    found = []
    for checkpointing in (False, True):
        model.zero_grad()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
            model.enable_input_require_grads()
        model(ids, document_ids=documents, labels=ids).loss.backward()
        found.append([parameter.grad.clone() for parameter in model.parameters()])
    for plain, saved in zip(*found, strict=True):
        torch.testing.assert_close(saved, plain, atol=1e-6, rtol=1e-5)


@each_operation
@each_position
def test_bfloat16_is_finite_and_near_float32(operation: str, parameter: str, positions: str) -> None:
    torch.manual_seed(0)  # initial weights come from the global generator
    config = FlexiBertConfig.from_architecture(
        of(operation, parameter, 2), vocab_size=VOCAB, max_position_embeddings=MAX, position_embedding_type=positions
    )
    model = FlexiBertForMaskedLM(config).eval()
    ids, mask, documents = packed(SHORT, 2)
    with torch.no_grad():
        exact = model(ids, attention_mask=mask, document_ids=documents).logits
    with torch.autocast("cpu", torch.bfloat16):
        output = model(ids, attention_mask=mask, document_ids=documents, labels=ids)
    output.loss.backward()
    assert output.logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert (output.logits.float() - exact)[mask == 1].abs().mean() < 0.05 * exact.abs().mean()


def assert_compiles(model: Any, all_rows: list[list[list[int]]]) -> None:
    """One graph for forward and backward, with and without a mask, and the same outputs."""
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for rows in all_rows:
        ids, mask, documents = packed(rows, 2)
        for attention_mask in (None, mask):
            given = {"attention_mask": attention_mask, "document_ids": documents}
            value = compiled(ids, **given)[0]
            torch.testing.assert_close(value[mask == 1], model(ids, **given)[0][mask == 1], atol=1e-5, rtol=1e-5)
    value.sum().backward()


@pytest.mark.parametrize(("operation", "parameter"), [("sa", "sdp"), ("l", "dft"), ("l", "dct"), ("c", "5")])
def test_an_operation_compiles_without_a_graph_break(operation: str, parameter: str) -> None:
    assert_compiles(built(of(operation, parameter, 1)), [SHORT])


@each_position
@pytest.mark.slow
def test_every_operation_compiles_for_any_shape(positions: str) -> None:
    assert_compiles(built(EVERY_OPERATION, position_embedding_type=positions), [SHORT, LONG])


# Refusals


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (torch.zeros(2, 3), r"document_ids must have the shape \(2, 4\) of the tokens, got \(2, 3\)"),
        (torch.zeros(2, 4), r"document_ids must be integers, got torch\.float32"),
        (torch.zeros(2, 4).bool(), r"document_ids must be integers, got torch\.bool"),
        (
            torch.tensor([[0, 0, 1, 1], [0, 2, 1, 1]]),
            r"document_ids must not decrease along a row, got 2 before 1 at token 2 of row 1\. Number documents",
        ),
    ],
    ids=["shape", "float", "bool", "order"],
)
def test_what_numbers_no_documents_is_refused(documents: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        built(of("sa", "sdp", 1))(torch.full((2, 4), 5), document_ids=documents)
