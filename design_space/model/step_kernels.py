"""Which kernels a device would choose, for tensors on the device "meta", which has choices of its own."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_NARROW = {
    F.linear,
    F.conv1d,
    *(getattr(place, name) for place in (torch, Tensor) for name in ("matmul", "bmm", "baddbmm", "addmm", "mm")),
    Tensor.__matmul__,
    torch.einsum,
}
_WIDE = {torch.fft.fft, torch.fft.fft2, torch.fft.fftn}
_WIDE_ON_GPU = {*_WIDE, F.layer_norm, F.softmax, torch.softmax, Tensor.softmax, F.cross_entropy, F.mse_loss}
"""What autocast computes in 16 bits, and in float32."""


class Kernels(TorchFunctionMode):
    """Goes the ways that tensors of a device would go, and computes in mixed precision.

    Args:
        device: "cpu" or "cuda".
        autocast: Type of mixed precision; None: none. "meta" has no autocast of torch's.
    """

    def __init__(self, device: str, autocast: torch.dtype | None) -> None:
        super().__init__()
        self._on_gpu, self._autocast = device == "cuda", autocast
        self._casts: dict[int, Tensor] | None = {}

    def forget_casts(self) -> None:
        """What the forward pass has cast is cast again from here on."""
        self._casts = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        if self._on_gpu and func is Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
            return True
        if self._on_gpu and func is F.dropout:
            return _fused_dropout(*args, **kwargs)
        if self._autocast is not None:
            if func in _NARROW:
                args, kwargs = tree_map(self._narrowed, (args, kwargs))
            elif func in (_WIDE_ON_GPU if self._on_gpu else _WIDE):
                args, kwargs = tree_map(_widened, (args, kwargs))
        return func(*args, **kwargs)

    def _narrowed(self, value: Any) -> Any:
        """In the type of autocast, which keeps its copies of weights."""
        if not isinstance(value, Tensor) or value.dtype != torch.float32 or self._autocast is None:
            return value
        if not (value.is_leaf and value.requires_grad) or self._casts is None:
            return value.to(self._autocast)
        if id(value) not in self._casts:
            self._casts[id(value)] = value.to(self._autocast)
        return self._casts[id(value)]

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        query, key, value, attn_mask = (self._narrowed(tensor) for tensor in (query, key, value, attn_mask))
        has_gradient = attn_mask is not None and attn_mask.requires_grad
        if not self._on_gpu and (dropout_p > 0 or has_gradient):  # no fused kernel of a CPU takes these
            return F.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
            )
        if enable_gqa:
            key, value = (tensor.repeat_interleave(query.shape[1] // tensor.shape[1], 1) for tensor in (key, value))
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = torch.where(attn_mask, 0.0, -torch.inf).to(query.dtype)
        if not self._on_gpu:
            kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
            found: Tensor = kernel(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]
            return found
        # What flash attention keeps is as much.
        if attn_mask is not None:
            attn_mask = attn_mask.to(query.dtype).expand(*query.shape[:3], key.shape[2])
        kernel = torch.ops.aten._scaled_dot_product_efficient_attention
        found = kernel(query, key, value, attn_mask, torch.is_grad_enabled(), dropout_p, is_causal, scale=scale)[0]
        return found


def _fused_dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Keeps its mask in bits of a byte each, where that of a CPU has the type of the input."""
    return torch.native_dropout(x, p, training)[0] if training and p > 0 else x


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
