"""M-FAC: gradients preconditioned by the inverse of an empirical Fisher matrix over a sliding window of them.

Symbols: G (m, d) the window, a gradient of all d parameters a row, 0 where one is still missing; g the newest gradient,
row k of G; λ the damping. The preconditioned gradient is

    u = (λI + GᵀG / m)⁻¹ g = m Gᵀ (mλI + GGᵀ)⁻¹ e_k,

by the push-through identity, as g = Gᵀ e_k. It needs two passes over the window, one for the new row of GGᵀ and one for
the product with Gᵀ, and a solution of an m × m system. The usual Woodbury form is a difference of two large vectors and
loses the accuracy of float32; this form has no difference.

Reference:
    Frantar, Kurtic and Alistarh 2021, "M-FAC: Efficient Matrix-Free Approximations of Second-Order Information",
    arXiv:2107.03356, section 3.3 and algorithm 2 (dynamic).
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import psutil
import torch
from torch import Tensor
from torch.optim import Optimizer

from design_space.errors import InputError

WINDOW_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
_CHUNK = 2**24
"""Entries of the window that are multiplied at a time."""

_STATE = "mfac"
_GIB = 2**30


class MFAC(Optimizer):
    """Steps along the preconditioned gradient u.

        b ← momentum · b + u,    p ← p − lr · weight_decay · p − lr · b.

    Every process of a data-parallel run keeps a window of its own; as gradients are averaged before, all of them are
    equal. A gradient with a NaN or an infinity is passed over: nothing is changed but `num_skipped`.

    Args:
        params: Parameters, or groups of them; groups may differ in `lr`, `momentum` and `weight_decay`.
        lr: Learning rate.
        num_grads: m.
        damp: λ.
        momentum: Of the preconditioned gradients.
        weight_decay: Decoupled from the gradients.
        dtype: Of the window: "float32" or "bfloat16" ("float64"); None: float32, float64 for parameters of float64.
        offload: "cpu" keeps the window in main memory and multiplies there; None: beside the parameters.
        warmup: While the window holds n < m gradients, steps are multiplied by n / m, since a mean over m with zeros
            makes them m / n times as long.

    Raises:
        InputError: If a value is outside its range, or the window does not fit into the memory.

    Example:
        >>> parameter = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
        >>> optimizer = MFAC([parameter], lr=0.1, num_grads=2, damp=1.0)
        >>> parameter.square().sum().div(2).backward()
        >>> optimizer.step()  # u = g / (1 + 25 / 2)
        >>> parameter.data
        tensor([2.9778, 3.9704])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        num_grads: int = 1024,
        damp: float = 1e-6,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        dtype: str | None = None,
        offload: str | None = None,
        warmup: bool = False,
    ) -> None:
        _require(num_grads > 1 and num_grads == int(num_grads), "num_grads", "a whole number from 2 on", num_grads)
        _require(0 < damp < float("inf"), "damp", "above 0 and finite", damp)
        _require(dtype is None or dtype in WINDOW_DTYPES, "dtype", f"one of {', '.join(WINDOW_DTYPES)}", dtype)
        _require(offload in (None, "cpu"), "offload", "'cpu', or left out", offload)
        self._is_ready = False
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.damp, self.warmup = damp, warmup
        self.num_skipped = 0
        self._shapes = [parameter.shape for parameter in self._parameters()]
        first = next(self._parameters())
        kind = WINDOW_DTYPES[dtype] if dtype else torch.promote_types(first.dtype, torch.float32)
        device = torch.device("cpu") if offload else first.device
        num_parameters = sum(shape.numel() for shape in self._shapes)
        _require_room(int(num_grads), num_parameters, kind, device)
        self._window = torch.zeros(int(num_grads), num_parameters, dtype=kind, device=device)
        self._gram = torch.zeros(int(num_grads), int(num_grads), dtype=torch.float64, device=device)
        self._momentum: Tensor | None = None
        self._num_seen = 0
        self._is_ready = True

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take a group; only while the optimizer is made, as the window has a column a parameter."""
        _require(not self._is_ready, "params", "all there when the optimizer is made", "a further group")
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for name in ("lr", "weight_decay", "momentum"):
            _require(0 <= group[name] < float("inf"), name, "at least 0 and finite", group[name])
        _require(group["momentum"] < 1, "momentum", "below 1", group["momentum"])

    @property
    def window_bytes(self) -> int:
        """Memory of the window."""
        return self._window.numel() * self._window.element_size()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take the gradients into the window, and step.

        Args:
            closure: Computes the loss and the gradients anew.

        Returns:
            The closure's loss.

        Raises:
            InputError: If a gradient is sparse, or a parameter has another shape than at the start.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = list(self._gradients())
        if not _is_finite(gradients):
            self.num_skipped += 1
            return loss
        direction = self._precondition(self._take(gradients))
        if self.warmup:
            direction *= min(1.0, self._num_seen / len(self._window))
        self._move(direction)
        return loss

    def _take(self, gradients: list[Tensor | None]) -> int:
        """Write the newest gradient over the oldest, and its products with all into GGᵀ; its row."""
        row = self._num_seen % len(self._window)
        for part, gradient in zip(self._parts(self._window[row]), gradients, strict=True):
            if gradient is None:
                part.zero_()
            else:
                part.copy_(gradient.reshape(-1))
        self._num_seen += 1
        products = self._products(row)
        self._gram[row, : len(products)] = products
        self._gram[: len(products), row] = products
        return row

    def _products(self, row: int) -> Tensor:
        """G g for the rows that are there, n; summed in float64, as mλ may be far below |g|²."""
        window = self._window[: min(self._num_seen, len(self._window))]
        total = torch.zeros(len(window), dtype=torch.float64, device=window.device)
        for columns in self._columns():
            part = window[:, columns].to(self._compute_dtype)
            total += torch.mv(part, part[row]).double()
        return total

    def _precondition(self, row: int) -> Tensor:
        """u, shape (d,)."""
        size = len(self._window)
        count = min(self._num_seen, size)
        window, gram = self._window[:count], self._gram[:count, :count]
        unit = torch.zeros(count, 1, dtype=torch.float64, device=gram.device)
        unit[row] = size
        coefficients = _solve(gram, size * self.damp, unit).squeeze(1).to(self._compute_dtype)
        direction = torch.empty(window.shape[1], dtype=self._compute_dtype, device=window.device)
        for columns in self._columns():
            torch.mv(window[:, columns].to(self._compute_dtype).T, coefficients, out=direction[columns])
        return direction

    def _move(self, direction: Tensor) -> None:
        """Momentum, weight decay and the step."""
        if any(group["momentum"] for group in self.param_groups):
            if self._momentum is None:
                self._momentum = torch.zeros_like(direction)
            for group, parts in self._by_group(self._momentum):
                for part in parts:
                    part.mul_(group["momentum"])
            direction = self._momentum.add_(direction)
        for group, parts in self._by_group(direction):
            for parameter, part in zip(group["params"], parts, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(part.view_as(parameter).to(parameter), alpha=-group["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Groups, window, and all that a step depends on."""
        state = super().state_dict()
        state[_STATE] = {
            "window": self._window,
            "gram": self._gram,
            "momentum": self._momentum,
            "num_seen": self._num_seen,
            "num_skipped": self.num_skipped,
        }
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            InputError: If it is of another optimizer, another window size or other parameters.
        """
        kept = state_dict.get(_STATE)
        _require(kept is not None, "state", "that of an M-FAC optimizer", "another")
        kept = cast(dict[str, Any], kept)
        shape, own = tuple(kept["window"].shape), tuple(self._window.shape)
        _require(shape == own, "state", f"of a window of {own[0]} gradients of {own[1]:,} parameters", shape)
        super().load_state_dict({name: value for name, value in state_dict.items() if name != _STATE})
        self._window.copy_(kept["window"])
        self._gram.copy_(kept["gram"])
        momentum = kept["momentum"]
        self._momentum = None if momentum is None else momentum.to(self._window.device, self._compute_dtype, copy=True)
        self._num_seen, self.num_skipped = kept["num_seen"], kept["num_skipped"]

    @property
    def _compute_dtype(self) -> torch.dtype:
        return torch.promote_types(self._window.dtype, torch.float32)

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def _gradients(self) -> Iterator[Tensor | None]:
        for parameter, shape in zip(self._parameters(), self._shapes, strict=True):
            _require(parameter.shape == shape, "params", f"of the shape {tuple(shape)}", tuple(parameter.shape))
            gradient = parameter.grad
            _require(gradient is None or not gradient.is_sparse, "gradients", "dense", "sparse ones")
            yield gradient

    def _parts(self, flat: Tensor) -> tuple[Tensor, ...]:
        """Views of a vector of all parameters, one a parameter."""
        return torch.split(flat, [shape.numel() for shape in self._shapes])

    def _by_group(self, flat: Tensor) -> Iterator[tuple[dict[str, Any], tuple[Tensor, ...]]]:
        parts, start = self._parts(flat), 0
        for group in self.param_groups:
            end = start + len(group["params"])
            yield group, parts[start:end]
            start = end

    def _columns(self) -> Iterator[slice]:
        """Blocks of columns, so that a copy in another type stays small."""
        width = max(1, _CHUNK // len(self._window))
        for start in range(0, self._window.shape[1], width):
            yield slice(start, start + width)


def _solve(gram: Tensor, damping: float, right: Tensor) -> Tensor:
    """(GGᵀ + damping · I)⁻¹ right, all in float64, shapes (n, n) and (n, 1)."""
    system = gram.clone()
    system.diagonal().add_(damping)
    factor, failed = torch.linalg.cholesky_ex(system)
    if not failed:
        return torch.cholesky_solve(right, factor)
    # Where gradients are nearly parallel, rounded products may make an eigenvalue negative: none is below the damping.
    values, vectors = torch.linalg.eigh(system)
    solution: Tensor = vectors @ ((vectors.T @ right) / values.clamp_min(damping).unsqueeze(1))
    return solution


def _is_finite(gradients: list[Tensor | None]) -> bool:
    there = [gradient for gradient in gradients if gradient is not None]
    return not there or bool(torch.stack([norm.cpu() for norm in torch._foreach_norm(there)]).isfinite().all())


def _require_room(num_grads: int, num_parameters: int, dtype: torch.dtype, device: torch.device) -> None:
    """Refuse a window that the memory cannot hold."""
    row = num_parameters * dtype.itemsize
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if num_grads * row <= free:
        return
    largest = free // row
    ways = [f"num_grads={largest} at most" if largest > 1 else "a smaller model"]
    if dtype.itemsize > 2 and num_grads * num_parameters * 2 <= free:
        ways.append("dtype=bfloat16")
    if device.type != "cpu":
        ways.append("offload=cpu")
    raise InputError(
        f"num_grads: {num_grads:,} gradients of {num_parameters:,} parameters take {num_grads * row / _GIB:.1f} GiB, "
        f"{device} has {free / _GIB:.1f} GiB free. Give {' or '.join(ways)}."
    )


def _require(holds: bool, name: str, rule: str, given: object) -> None:
    if not holds:
        raise InputError(f"M-FAC {name}: must be {rule}, got {given!r}. Correct it.")
