"""Memory of a training step, found by making the step with tensors on the device "meta", which have no values.

Every allocation of forward, backward and optimizer is seen and none is made, so all that autograd keeps, all buffers of
the backward pass and all copies are counted for any model, without a formula a layer. What kernels allocate inside
themselves is not seen.
"""

import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from design_space.model.step_kernels import Kernels

REST = "embeddings and head"
_LAYER = re.compile(r".*?\b(?:layers?|h|blocks?|albert_layer_groups)\.\d+(?=\.|$)")


@dataclass(frozen=True, kw_only=True)
class Step:
    """Bytes of a forward and a backward pass.

    Attributes:
        num_parameters: Of the model.
        trained: Shapes of those that are trained.
        weights: Parameters and buffers.
        gradients: Of all that is trained.
        kept: What the forward pass leaves for the backward pass, by layer in their order; `REST`, the last, is the
            loss too.
        moments: What is there beside weights at each allocation: gradients of parameters, and all else.
    """

    num_parameters: int
    trained: tuple[torch.Size, ...]
    weights: int
    gradients: int
    kept: Mapping[str, int]
    moments: tuple[tuple[int, int], ...]

    def peak(self, num_gpus: int = 1) -> tuple[float, int]:
        """Gradients, divided among GPUs, and all else, where their sum is greatest."""
        gradients, rest = max(self.moments, key=lambda moment: moment[0] / num_gpus + moment[1])
        return gradients / num_gpus, rest


def trace_step(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    device: str = "cpu",
    autocast: torch.dtype | None = None,
    dtype: torch.dtype | None = None,
) -> Step:
    """Follow the memory of one step of training.

    Args:
        model: As it will be trained: mode, `requires_grad`, checkpointing; unchanged, on any device, also "meta". Its
            output has a `loss`.
        inputs: What it is given, by name, on the device "meta".
        device: Whose kernels: "cpu", or "cuda", where attention is fused with dropout and bias.
        autocast: Type of mixed precision; None: none.
        dtype: Of weights and buffers of floats; None: the model's own.

    Raises:
        ValueError: If nothing is trained, or the model refuses the inputs.
    """
    ledger = _Ledger()
    with ledger, Kernels(device, autocast) as kernels:
        whole = _Pass(model, ledger, kernels)
        weights = {name: _like(tensor, dtype) for name, tensor in [*whole.named_parameters(), *whole.named_buffers()]}
        trained = [weight for weight in weights.values() if weight.requires_grad]
        for weight in trained:
            weight.register_post_accumulate_grad_hook(lambda found: ledger.add_gradient(found.grad))
        size = ledger.begin()
        kept = functional_call(whole, weights, (), dict(inputs))
        return Step(
            num_parameters=sum(parameter.numel() for parameter in model.parameters()),
            trained=tuple(weight.shape for weight in trained),
            weights=size,
            gradients=sum(weight.numel() * weight.element_size() for weight in trained),
            kept=kept,
            moments=tuple(dict.fromkeys(ledger.moments)),
        )


def trace_optimizer(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    shapes: Sequence[Sequence[int]],
    dtype: torch.dtype = torch.float32,
) -> tuple[int, int]:
    """Bytes that an optimizer keeps, and of what it makes in a step beside these, gradients and weights.

    Args:
        make: Gives the optimizer of some parameters.
        shapes: Of the parameters that are trained.
        dtype: Of them.
    """
    ledger = _Ledger()
    with ledger:
        parameters = [nn.Parameter(torch.empty(tuple(shape), dtype=dtype, device="meta")) for shape in shapes]
        for parameter in parameters:
            parameter.grad = torch.empty_like(parameter)
        size_before = ledger.begin()
        optimizer = make(parameters)
        optimizer.step()
        states = ledger.size - size_before
        ledger.begin()
        optimizer.step()
        return states, max((rest for _, rest in ledger.moments), default=0)


class _Ledger(TorchDispatchMode):
    """Knows which storages live.

    Attributes:
        size: Bytes of all of them.
        moments: See `Step`; since `begin`.
        layer: Where the model computes.
        layers: All of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.moments: list[tuple[int, int]] = []
        self.layer = REST
        self.layers: list[str] = []
        self._living: dict[int, tuple[int, str]] = {}
        self._old: frozenset[int] = frozenset()
        self._size_before = self._gradients = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            # The code asks for a value: there is padding and no id is out of range, so all that it asks is false.
            return args[0].dtype != torch.bool  # as a number 1
        if func is torch.ops.aten.nonzero.default:  # at most all of them
            made = torch.empty(args[0].numel(), args[0].dim(), dtype=torch.long, device=args[0].device)
        else:
            made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return made

    def begin(self) -> int:
        """Count from here on; bytes that there are."""
        self.moments, self._size_before, self._gradients = [], self.size, 0
        self._old = frozenset(self._living)
        return self.size

    def kept(self) -> dict[str, int]:
        """Bytes since `begin` that live still, by layer."""
        found = dict.fromkeys([*self.layers, REST], 0)
        for key, (size, layer) in self._living.items():
            if key not in self._old:
                found[layer] += size
        return found

    def add_gradient(self, gradient: Tensor) -> None:
        """Count a tensor as a gradient of a parameter from now on."""
        self._gradients += gradient.untyped_storage().nbytes()
        self._note()

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._living:
            return
        size = storage.nbytes()
        self._living[key] = size, self.layer
        self.size += size
        weakref.finalize(storage, self._drop, key).atexit = False
        self._note()

    def _drop(self, key: int) -> None:
        self.size -= self._living.pop(key)[0]

    def _note(self) -> None:
        self.moments.append((self._gradients, self.size - self._size_before - self._gradients))


def _like(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=wanted, device="meta")
    return nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made


class _Pass(nn.Module):
    """Forward and backward, in one call, as checkpoints compute with the weights in the backward pass too."""

    def __init__(self, model: nn.Module, ledger: _Ledger, kernels: Kernels) -> None:
        super().__init__()
        self.model, self.ledger, self.kernels = model, ledger, kernels

    def forward(self, **inputs: Tensor) -> dict[str, int]:
        """What is kept between the two, by layer."""
        with _told_of_layers(self.model, self.ledger):
            loss = self.model(**inputs).loss
            self.kernels.forget_casts()
            kept = self.ledger.kept()
        if not loss.requires_grad:
            raise ValueError("nothing is trained")
        # `loss.backward`, but function modes, which that turns off, hold for what checkpoints compute anew.
        engine = torch.autograd.Variable._execution_engine
        engine.run_backward((loss,), (torch.ones_like(loss),), False, False, (), True, accumulate_grad=True)
        return kept


@contextmanager
def _told_of_layers(model: nn.Module, ledger: _Ledger) -> Iterator[None]:
    """Tell the ledger in which of the outermost layers the model is."""
    handles = []
    for name, module in model.named_modules():
        found = _LAYER.match(name)
        if found is None or found[0] != name:
            continue
        short = name.removeprefix(f"{getattr(model, 'base_model_prefix', '')}.")
        ledger.layers.append(short)
        handles.append(module.register_forward_pre_hook(lambda *_, short=short: setattr(ledger, "layer", short)))
        handles.append(module.register_forward_hook(lambda *_: setattr(ledger, "layer", REST)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
