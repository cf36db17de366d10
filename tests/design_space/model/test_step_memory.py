"""What a step keeps: counted by hand, beside the tensors that autograd keeps of a real model, and over shapes."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from transformers import BertConfig, BertForSequenceClassification

from design_space.architecture import Architecture, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM, FlexiBertForSequenceClassification
from design_space.model.step_memory import REST, Step, trace_optimizer, trace_step

MIXED = Architecture(
    (
        Layer("sa", "wma", 32, 2, (64,)),
        Layer("l", "dct", 16, 2, (32, 32)),
        Layer("c", "5", 32, 4, (64,)),
        Layer("l", "dft", 16, 2, (32,)),
    )
)


class TwoLinears(nn.Module):
    """Linear, ReLU, linear, mean."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(loss=self.second(torch.relu(self.first(x))).mean())


def two_linears(batch: int, trained: str = "") -> Step:
    model = TwoLinears()
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(trained)
    return trace_step(model, {"x": torch.empty(batch, 8, device="meta")})


def bert(dropout: float = 0.0, **changed: Any) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **changed,
    )
    return BertForSequenceClassification(config).train()


def flexibert(dropout: float = 0.0) -> FlexiBertForSequenceClassification:
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    config = FlexiBertConfig.from_architecture(MIXED, vocab_size=100, max_position_embeddings=256, **rates)
    return FlexiBertForSequenceClassification(config).train()


def batch_of(batch: int, length: int, device: str = "meta") -> dict[str, Tensor]:
    ids = torch.ones(batch, length, dtype=torch.long, device=device)
    mask = torch.ones_like(ids)
    mask[:, -1] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.zeros(batch, dtype=torch.long, device=device)}


def kept(model: nn.Module, batch: int, length: int, **options: Any) -> int:
    return sum(trace_step(model, batch_of(batch, length), **options).kept.values())


def test_two_linear_layers_by_hand():
    step = two_linears(5)
    # Of the first layer's input nothing is made; what ReLU gives is kept once for both its neighbours; then the loss.
    assert dict(step.kept) == {REST: 5 * 16 * 4 + 4}
    assert step.num_parameters == 8 * 16 + 16 + 16 * 4 + 4
    assert step.weights == step.gradients == 4 * step.num_parameters


def test_what_needs_no_gradient_is_not_kept():
    assert dict(two_linears(5, "second").kept) == {REST: 5 * 16 * 4 + 4}  # its input
    assert two_linears(5, "second").gradients == 4 * (16 * 4 + 4)
    assert dict(two_linears(5, "second.bias").kept) == {REST: 4}
    with pytest.raises(ValueError, match="nothing is trained"):
        two_linears(5, "third")


def test_the_peak_holds_gradients_divided_among_gpus():
    step = Step(
        num_parameters=1, trained=(), weights=0, gradients=100, kept={}, moments=((0, 90), (100, 20), (60, 40), (0, 0))
    )
    assert step.peak() == (100, 20)
    assert step.peak(num_gpus=10) == (0, 90)


def test_the_last_moment_has_all_gradients():
    assert max(gradients for gradients, _ in two_linears(5).moments) == two_linears(5).gradients


def saved_by_autograd(model: nn.Module, inputs: dict[str, Tensor]) -> int:
    """Bytes of the distinct storages that a real forward pass leaves, weights and inputs left out."""
    own = [*model.parameters(), *model.buffers(), *inputs.values()]
    left_out = {tensor.untyped_storage().data_ptr() for tensor in own}
    saved: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in left_out:
            saved[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**inputs).loss
    del loss
    return sum(size for size, _ in saved.values())


@pytest.mark.parametrize("make", [bert, flexibert])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("frozen", [False, True])
def test_is_what_autograd_keeps_of_a_real_model(make: Any, dropout: float, frozen: bool):
    model = make(dropout)
    if frozen:
        model.base_model.requires_grad_(False)
    step = trace_step(model, batch_of(3, 24))
    assert sum(step.kept.values()) == pytest.approx(saved_by_autograd(model, batch_of(3, 24, "cpu")), rel=0.03, abs=64)


def test_the_model_is_left_as_it_was():
    model = bert()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trace_step(model, batch_of(2, 8))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_weights_that_are_tied_count_once():
    config = FlexiBertConfig.from_architecture(MIXED, vocab_size=1000, max_position_embeddings=32)
    model = FlexiBertForMaskedLM(config)
    ids = torch.zeros(2, 8, dtype=torch.long, device="meta")
    step = trace_step(model, {"input_ids": ids, "prediction_positions": ids[:, :2], "labels": ids[:, :2]})
    assert step.gradients == 4 * model.num_parameters() == 4 * step.num_parameters


@pytest.mark.parametrize("make", [bert, flexibert])
def test_twice_the_batch_keeps_twice_as_much(make: Any):
    once, twice = kept(make(), 4, 32), kept(make(), 8, 32)
    assert once < twice <= 2 * once
    assert twice == pytest.approx(2 * once, rel=0.1)  # but for tables that all rows share


def test_layers_are_named_in_their_order_and_wide_ones_keep_more():
    found = trace_step(flexibert(), batch_of(4, 32)).kept
    assert list(found) == ["layers.0", "layers.1", "layers.2", "layers.3", REST]
    assert found["layers.0"] > found["layers.1"] > 0
    assert list(trace_step(bert(), batch_of(4, 32)).kept) == ["encoder.layer.0", "encoder.layer.1", REST]


@pytest.mark.parametrize("make", [bert, flexibert])
def test_checkpointing_keeps_and_needs_less(make: Any):
    model = make()
    plain = trace_step(model, batch_of(8, 64))
    getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    lower = trace_step(model, batch_of(8, 64))
    assert sum(lower.kept.values()) < 0.4 * sum(plain.kept.values())
    assert sum(lower.peak()) < sum(plain.peak())


def growth(model: nn.Module, device: str) -> float:
    """How many times more is kept of rows of twice the length, without padding, where scores outweigh all else."""
    short, long = (
        {name: value for name, value in batch_of(2, length).items() if name != "attention_mask"}
        for length in (256, 512)
    )
    sizes = [sum(trace_step(model, inputs, device=device).kept.values()) for inputs in (short, long)]
    return sizes[1] / sizes[0]


def test_only_kept_scores_grow_with_the_square_of_the_length():
    assert growth(bert(), "cpu") == pytest.approx(2, rel=0.02)  # fused
    assert growth(bert(0.1), "cpu") > 3  # no fused kernel of a CPU has dropout
    assert growth(bert(0.1), "cuda") == pytest.approx(2, rel=0.02)
    assert growth(bert(attn_implementation="eager"), "cuda") > 3


def test_a_gpu_keeps_the_mask_of_dropout_in_bytes():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8))
    whole = SimpleModel(model)
    inputs = {"x": torch.empty(100, 8, device="meta")}
    on_cpu, on_gpu = (sum(trace_step(whole, inputs, device=device).kept.values()) for device in ("cpu", "cuda"))
    assert on_cpu == 2 * 100 * 8 * 4 + 4  # the mask, and what the second layer reads
    assert on_gpu == 100 * 8 * (1 + 4) + 4


class SimpleModel(nn.Module):
    """A stack, and its mean as the loss."""

    def __init__(self, stack: nn.Module) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(loss=self.stack(x).mean())


def test_mixed_precision_keeps_16_bits_and_casts_of_weights():
    model = SimpleModel(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))
    inputs = {"x": torch.empty(100, 8, device="meta")}
    found = sum(trace_step(model, inputs, device="cuda", autocast=torch.bfloat16).kept.values())
    # Input and ReLU's output in 16 bits, the second layer's weight; the loss is a mean in 16 bits.
    assert found == 100 * (8 + 16) * 2 + 16 * 4 * 2 + 2


def test_weights_may_have_16_bits_alone():
    step = trace_step(bert(), batch_of(2, 8), dtype=torch.bfloat16)
    assert step.gradients == 2 * step.num_parameters


def test_optimizers_by_hand():
    shapes = [(3, 4), (5,)]
    decay: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1}
    assert trace_optimizer(lambda given: SGD(given, lr=0.1), shapes) == (0, 0)
    # The gradient with the decay is a copy: of one parameter at a time, or of all.
    assert trace_optimizer(lambda given: SGD(given, foreach=False, **decay), shapes) == (0, 12 * 4)
    assert trace_optimizer(lambda given: SGD(given, foreach=True, **decay), shapes) == (0, 17 * 4)
    states, _ = trace_optimizer(lambda given: SGD(given, momentum=0.9, **decay), shapes, torch.bfloat16)
    assert states == 17 * 2
