"""What transformers asks of every model of its own, over random small architectures and every head."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from design_space import Architecture, Layer
from design_space.model import (
    FlexiBertConfig,
    FlexiBertForMaskedLM,
    FlexiBertForMultipleChoice,
    FlexiBertForQuestionAnswering,
    FlexiBertForSequenceClassification,
    FlexiBertForTokenClassification,
    FlexiBertModel,
)
from design_space.model.folder import AUTO_CLASSES

VOCAB, MAX, LABELS = 40, 140, 3
CLASSES = list(AUTO_CLASSES.values())
HEADS = [given for given in CLASSES if given is not FlexiBertModel]
POSITIONS = ["relative_key", "absolute"]
Draw = Callable[[np.random.Generator], Architecture]

each_class = pytest.mark.parametrize("model_class", CLASSES, ids=lambda given: given.__name__)
each_head = pytest.mark.parametrize("model_class", HEADS, ids=lambda given: given.__name__)
each_position = pytest.mark.parametrize("positions", POSITIONS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)  # initial weights come from the global generator


def built(model_class: Any, architecture: Architecture, **kwargs: Any) -> Any:
    defaults = {
        "vocab_size": VOCAB,
        "max_position_embeddings": MAX,
        "num_labels": LABELS,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.2,
    }
    return model_class(FlexiBertConfig.from_architecture(architecture, **{**defaults, **kwargs})).eval()


def inputs(model_class: Any, lengths: tuple[int, ...], left: bool = False, num_tokens: int = 0) -> dict[str, Tensor]:
    """Random rows of these lengths, padded with arbitrary ids; for multiple choice two choices a row."""
    generator = torch.Generator().manual_seed(sum(lengths))
    num_tokens = num_tokens or max(lengths)
    ids = torch.randint(3, VOCAB, (len(lengths), num_tokens), generator=generator)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        content = torch.randint(3, VOCAB, (length,), generator=torch.Generator().manual_seed(length))
        place = slice(num_tokens - length, num_tokens) if left else slice(0, length)
        ids[row, place], mask[row, place] = content, 1
    if model_class is FlexiBertForMultipleChoice:
        ids, mask = (torch.stack([tensor, tensor], dim=1) for tensor in (ids, mask))
        ids[:, 1] = (ids[:, 1] + 5) % VOCAB
    return {"input_ids": ids, "attention_mask": mask}


def labels(model_class: Any, ids: Tensor) -> dict[str, Tensor]:
    """What each head learns from."""
    num_rows, num_tokens = ids.shape[0], ids.shape[-1]
    if model_class is FlexiBertModel:
        return {}
    if model_class is FlexiBertForMaskedLM:
        return {"labels": ids}
    if model_class is FlexiBertForTokenClassification:
        return {"labels": ids % LABELS}
    if model_class is FlexiBertForQuestionAnswering:
        start = torch.arange(num_rows) % num_tokens
        return {"start_positions": start, "end_positions": start + 1}
    return {"labels": torch.arange(num_rows) % 2}


def outputs(model: Any, **given: Any) -> list[Tensor]:
    """All that the model says of the tokens, without its loss."""
    output = model(**given)
    return [output[name] for name in ("last_hidden_state", "logits", "start_logits", "end_logits") if name in output]


def real(tensor: Tensor, mask: Tensor) -> Tensor:
    """Of an output per token those of real tokens; an output per sequence as it is."""
    return tensor[mask.bool()] if tensor.shape[:2] == mask.shape else tensor


@each_class
@each_position
@pytest.mark.parametrize("seed", range(2))
@torch.no_grad()
def test_saved_model_loads_with_equal_outputs(
    draw: Draw, tmp_path: Path, model_class: Any, positions: str, seed: int
) -> None:
    model = built(model_class, draw(np.random.default_rng(seed)), position_embedding_type=positions)
    given = inputs(model_class, (9, 5))
    model.save_pretrained(tmp_path)
    loaded = model_class.from_pretrained(tmp_path).eval()
    auto = next(key for key, value in AUTO_CLASSES.items() if value is model_class).from_pretrained(tmp_path).eval()
    for again in (model, loaded, auto):
        for first, second in zip(outputs(model, **given), outputs(again, **given), strict=True):
            assert torch.equal(first, second)


@each_class
@each_position
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_padding_changes_nothing(draw: Draw, model_class: Any, positions: str, seed: int) -> None:
    model = built(model_class, draw(np.random.default_rng(seed)), position_embedding_type=positions)
    lengths = (100, 66, 130)  # more than one block of queries
    alone = [outputs(model, input_ids=inputs(model_class, (length,))["input_ids"]) for length in lengths]
    for left in (False, True):
        given = inputs(model_class, lengths, left, num_tokens=MAX)
        together = outputs(model, **given)
        if model_class is FlexiBertForMultipleChoice:  # its second choices were shifted with their padding
            given["input_ids"][:, 1] = given["input_ids"][:, 0]
            together = [tensor[:, :1] for tensor in outputs(model, **given)]
            alone = [[tensor[:, :1] for tensor in tensors] for tensors in alone]
        for row, expected in enumerate(alone):
            mask = given["attention_mask"][row : row + 1]
            for ours, theirs in zip(together, expected, strict=True):
                got = real(ours[row : row + 1], mask)
                torch.testing.assert_close(got, theirs.reshape(got.shape), atol=1e-5, rtol=0)


@each_head
@each_position
@pytest.mark.parametrize("seed", range(4))
def test_every_parameter_gets_a_gradient_above_rounding(
    draw: Draw, model_class: Any, positions: str, seed: int
) -> None:
    architecture = draw(np.random.default_rng([seed, 7]))
    model = built(model_class, architecture, position_embedding_type=positions).double().train()
    given = inputs(model_class, (12, 8))
    ids = given["input_ids"]
    model(**given, token_type_ids=ids % 2, **labels(model_class, ids)).loss.backward()
    # In double precision a gradient that is zero but for rounding is below 1e-16.
    dead = [n for n, weight in model.named_parameters() if weight.grad is None or weight.grad.abs().max() < 1e-12]
    # What shifts all tokens alike shifts no place among them: other heads need it.
    last = f"flexibert.layers.{len(architecture.layers) - 1}.feed_forward_norm.bias"
    assert dead == ([last] if model_class is FlexiBertForQuestionAnswering else [])


@each_head
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")
@pytest.mark.parametrize("seed", range(2))
def test_gradient_checkpointing_changes_neither_loss_nor_gradient(draw: Draw, model_class: Any, seed: int) -> None:
    model = built(model_class, draw(np.random.default_rng(seed))).train()
    given = inputs(model_class, (9, 5))
    found = []
    for checkpointing in (False, True):
        model.zero_grad()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        loss = model(**given, **labels(model_class, given["input_ids"])).loss
        loss.backward()
        found.append([loss.detach(), *(weight.grad.clone() for weight in model.parameters())])
    for plain, saved in zip(*found, strict=True):
        torch.testing.assert_close(saved, plain, atol=1e-6, rtol=1e-5)


@each_head
@each_position
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_trains_and_stays_near(draw: Draw, model_class: Any, positions: str, dtype: torch.dtype) -> None:
    model = built(
        model_class, draw(np.random.default_rng(3)), position_embedding_type=positions, initializer_range=0.02
    )
    given = inputs(model_class, (9, 5))
    with torch.no_grad():
        exact = outputs(model, **given)
    half = model.to(dtype)
    output = half(**given, **labels(model_class, given["input_ids"]))
    output.loss.backward()
    assert output.loss.isfinite()
    assert all(weight.grad.isfinite().all() for weight in half.parameters())
    with torch.no_grad():
        for ours, theirs in zip(outputs(half, **given), exact, strict=True):
            assert ours.dtype == dtype
            assert (ours.float() - theirs).abs().max() < 0.1 * theirs.abs().max() + 0.02


OPERATIONS = [("sa", "sdp"), ("sa", "wma"), ("l", "dft"), ("l", "dct"), ("c", "5")]
EVERY_OPERATION = Architecture(
    tuple(
        Layer(operation, parameter, width, 2, (8,))
        for (operation, parameter), width in zip(OPERATIONS, (16, 16, 32, 32, 16), strict=True)
    )
)


def assert_compiles(model: Any, model_class: Any, all_lengths: list[tuple[int, ...]]) -> None:
    """One graph for forward and backward, with and without a mask, and the same outputs."""
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for lengths in all_lengths:
        given = inputs(model_class, lengths)
        given |= labels(model_class, given["input_ids"])
        for attention_mask in (None, given["attention_mask"]):
            given["attention_mask"] = attention_mask
            value = compiled(**given)[0]
            torch.testing.assert_close(value, model(**given)[0], atol=1e-5, rtol=1e-5)
            value.sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@each_position
@pytest.mark.slow
def test_every_operation_compiles_without_a_graph_break(positions: str) -> None:
    model = built(FlexiBertForMaskedLM, EVERY_OPERATION, position_embedding_type=positions).train()
    assert_compiles(model, FlexiBertForMaskedLM, [(7, 5), (100, 90)])


@each_class
def test_every_head_compiles_without_a_graph_break(model_class: Any) -> None:
    model = built(model_class, Architecture(EVERY_OPERATION.layers[:1])).train()
    assert_compiles(model, model_class, [(7, 5)])


@each_class
@pytest.mark.parametrize("size", [VOCAB + 3, VOCAB - 5])
@torch.no_grad()
def test_resized_vocabulary_is_kept_by_a_saved_model(draw: Draw, tmp_path: Path, model_class: Any, size: int) -> None:
    model = built(model_class, draw(np.random.default_rng(1)))
    ids = inputs(model_class, (9,))["input_ids"] % 20
    before = outputs(model, input_ids=ids)
    model.resize_token_embeddings(size, mean_resizing=False)
    assert model.config.vocab_size == model.get_input_embeddings().num_embeddings == size
    kept = min(size, VOCAB)
    for ours, theirs in zip(outputs(model, input_ids=ids), before, strict=True):
        torch.testing.assert_close(ours[..., :kept], theirs[..., :kept])
    model.save_pretrained(tmp_path)
    loaded = model_class.from_pretrained(tmp_path).eval()
    for ours, theirs in zip(outputs(loaded, input_ids=ids), outputs(model, input_ids=ids), strict=True):
        torch.testing.assert_close(ours, theirs)


@each_class
@torch.no_grad()
def test_embeddings_masks_and_segments_may_be_given(draw: Draw, model_class: Any) -> None:
    model = built(model_class, draw(np.random.default_rng(2)))
    given = inputs(model_class, (9, 5))
    words = model.get_input_embeddings()(given["input_ids"])
    first = outputs(model, **given)
    for ours, theirs in zip(
        outputs(model, inputs_embeds=words, attention_mask=given["attention_mask"]), first, strict=True
    ):
        assert torch.equal(ours, theirs)
    segments = torch.ones_like(given["input_ids"])
    for ours, theirs in zip(outputs(model, **given, token_type_ids=segments), first, strict=True):
        assert not torch.allclose(ours, theirs)
    output = model(**given, output_hidden_states=True, output_attentions=True)
    assert len(output.hidden_states) == len(output.attentions) + 1 == model.config.num_hidden_layers + 1
    plain = model(**given, return_dict=False)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(plain, first, strict=True))


# Refusals


@each_class
def test_an_unknown_argument_is_refused(draw: Draw, model_class: Any) -> None:
    model = built(model_class, draw(np.random.default_rng(0)))
    with pytest.raises(TypeError, match="atention_mask"):
        model(**inputs(model_class, (4,)), atention_mask=None)


@each_class
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("input_ids", VOCAB, rf"input_ids must be in 0 to {VOCAB - 1}, got {VOCAB}\."),
        ("input_ids", -1, rf"input_ids must be in 0 to {VOCAB - 1}, got -1\."),
        ("token_type_ids", 2, r"token_type_ids must be in 0 to 1, got 2\."),
    ],
)
def test_an_id_beyond_its_table_is_refused(draw: Draw, model_class: Any, name: str, value: int, message: str) -> None:
    model = built(model_class, draw(np.random.default_rng(0)))
    given = inputs(model_class, (4,))
    given[name] = given["input_ids"] * 0
    given[name][..., 2] = value
    with pytest.raises(ValueError, match=message):
        model(**given)


@pytest.mark.parametrize(
    ("model_class", "limit"),
    [
        (FlexiBertForMaskedLM, VOCAB),
        (FlexiBertForTokenClassification, LABELS),
        (FlexiBertForSequenceClassification, LABELS),
        (FlexiBertForMultipleChoice, 2),
    ],
)
def test_a_label_beyond_the_choices_is_refused(draw: Draw, model_class: Any, limit: int) -> None:
    model = built(model_class, draw(np.random.default_rng(0)))
    given = inputs(model_class, (4, 4))
    wrong = labels(model_class, given["input_ids"])["labels"].clone()
    wrong[0] = limit
    with pytest.raises(ValueError, match=rf"labels must be in 0 to {limit - 1}, or -100 for no label, got {limit}\."):
        model(**given, labels=wrong)


def test_a_mask_of_another_shape_is_refused(draw: Draw) -> None:
    model = built(FlexiBertModel, draw(np.random.default_rng(0)))
    with pytest.raises(ValueError, match=r"attention_mask must have the shape \(1, 4\) of the tokens, got \(4,\)"):
        model(torch.full((1, 4), 5), attention_mask=torch.ones(4))


# Heads


@torch.no_grad()
def test_answers_outside_of_the_sequence_are_not_learnt_from(draw: Draw) -> None:
    model = built(FlexiBertForQuestionAnswering, draw(np.random.default_rng(0)))
    given = inputs(FlexiBertForQuestionAnswering, (6, 6))
    output = model(**given, start_positions=torch.tensor([1, 6]), end_positions=torch.tensor([2, -1]))
    start, end = output.start_logits.log_softmax(-1)[0, 1], output.end_logits.log_softmax(-1)[0, 2]
    assert output.loss.item() == pytest.approx(-(start + end).item() / 2, rel=1e-5)
    assert output.start_logits.shape == (2, 6)
    assert model(**given).loss is None


@torch.no_grad()
def test_token_loss_leaves_out_what_has_no_label(draw: Draw) -> None:
    model = built(FlexiBertForTokenClassification, draw(np.random.default_rng(0)))
    given = inputs(FlexiBertForTokenClassification, (4,))
    output = model(**given, labels=torch.tensor([[-100, 2, -100, 0]]))
    logarithms = output.logits.log_softmax(-1)[0]
    assert output.loss.item() == pytest.approx(-(logarithms[1, 2] + logarithms[3, 0]).item() / 2, rel=1e-5)


@torch.no_grad()
def test_choices_are_scored_one_by_one(draw: Draw) -> None:
    architecture = draw(np.random.default_rng(0))
    model = built(FlexiBertForMultipleChoice, architecture)
    given = inputs(FlexiBertForMultipleChoice, (6, 4))
    output = model(**given, labels=torch.tensor([1, 0]))
    assert output.logits.shape == (2, 2)
    alone = model(given["input_ids"][1:, 1:], attention_mask=given["attention_mask"][1:, 1:])
    torch.testing.assert_close(output.logits[1, 1], alone.logits[0, 0], atol=1e-5, rtol=0)
    expected = -output.logits.log_softmax(-1)[[0, 1], [1, 0]].mean()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "labels", "expected"),
    [
        ({"problem_type": "regression", "num_labels": 2}, [[0.5, 2.0], [1.0, -1.0]], "mse"),
        ({"num_labels": 1}, [[0.5], [1.0]], "mse"),
        ({"num_labels": 2}, [[0.0, 1.0], [1.0, 1.0]], "bce"),
    ],
)
@torch.no_grad()
def test_the_loss_of_a_classifier_fits_its_labels(
    draw: Draw, settings: dict[str, Any], labels: list[list[float]], expected: str
) -> None:
    model = built(FlexiBertForSequenceClassification, draw(np.random.default_rng(0)), **settings)
    target = torch.tensor(labels)
    output = model(**inputs(FlexiBertForSequenceClassification, (4, 3)), labels=target)
    p = output.logits.sigmoid()
    squared = (output.logits - target).square().mean()
    binary = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    assert output.loss.item() == pytest.approx({"mse": squared, "bce": binary}[expected].item(), rel=1e-4)


def test_untied_embeddings_leave_no_dead_weight(draw: Draw) -> None:
    model = built(FlexiBertForMaskedLM, draw(np.random.default_rng(0)), tie_word_embeddings=False).train()
    given = inputs(FlexiBertForMaskedLM, (6, 4))
    model(**given, labels=given["input_ids"]).loss.backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    assert model.get_output_embeddings().weight is not model.get_input_embeddings().weight


# Damaged folders


@pytest.fixture
def folder(draw: Draw, tmp_path: Path) -> Path:
    built(FlexiBertForMaskedLM, draw(np.random.default_rng(4))).save_pretrained(tmp_path)
    return tmp_path


def changed(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


NAME = "flexibert.layers.0.feed_forward.output.weight"


@pytest.mark.parametrize("model_class", [FlexiBertModel, FlexiBertForMaskedLM, FlexiBertForQuestionAnswering])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop(NAME), r"layers\.0\.feed_forward\.output\.weight is missing"),
        (
            lambda weights: weights.update({NAME: torch.zeros(3, 3)}),
            r"layers\.0\.feed_forward\.output\.weight must have the shape \(\d+, \d+\) of the con.*, got \(3, 3\)",
        ),
        (
            lambda weights: weights.update({"flexibert.layers.9.operation.query.bias": torch.zeros(3)}),
            r"layers\.9\.operation\.query\.bias has no place in the architecture",
        ),
    ],
    ids=["missing", "shape", "extra"],
)
def test_weights_that_do_not_fit_are_named(folder: Path, model_class: Any, change: Any, message: str) -> None:
    changed(folder, change)
    with pytest.raises(ValueError, match=message):
        model_class.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("lm_head.dense.bias"), r"lm_head\.dense\.bias is missing"),
        (lambda weights: weights.update({"lm_head.more": torch.zeros(3)}), r"lm_head\.more has no place"),
    ],
    ids=["missing", "extra"],
)
def test_half_a_head_is_refused_where_it_is_needed(folder: Path, change: Any, message: str) -> None:
    changed(folder, change)
    with pytest.raises(ValueError, match=message):
        FlexiBertForMaskedLM.from_pretrained(folder)
    assert isinstance(FlexiBertModel.from_pretrained(folder), FlexiBertModel)


def test_damaged_weights_are_told(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="the weights cannot be read"):
        FlexiBertModel.from_pretrained(folder)


def test_a_new_head_is_no_damage(folder: Path) -> None:
    model, info = FlexiBertForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert {name.split(".")[0] for name in info["missing_keys"]} == {"classifier"}
    assert model.training is False


def test_a_head_of_another_size_is_refused_unless_allowed(draw: Draw, tmp_path: Path) -> None:
    built(FlexiBertForSequenceClassification, draw(np.random.default_rng(4))).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"classifier\.out_proj\.(weight|bias) must have the shape"):
        FlexiBertForSequenceClassification.from_pretrained(tmp_path, num_labels=5)
    model = FlexiBertForSequenceClassification.from_pretrained(tmp_path, num_labels=5, ignore_mismatched_sizes=True)
    assert model.classifier.out_proj.out_features == 5


def test_a_configuration_of_other_layers_is_refused(folder: Path) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config["model_dict"]["f"][0] = [7]
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"layers\.0\.feed_forward\..* must have the shape"):
        FlexiBertModel.from_pretrained(folder)
