"""How much arithmetic a training step is, and what share of a device's peak that comes to.

Model FLOPs count the matrix products that the architecture asks for: forward, and twice as much backward; not what
gradient checkpointing repeats.
"""

import torch

from design_space.architecture import Architecture
from design_space.counts import num_flops

# Dense peak of one GPU in FLOP/s, from NVIDIA's data sheets, by what its name holds: 16 bits, then TF32.
_PEAKS = {
    "H200": (989e12, 494e12),
    "H100": (989e12, 494e12),
    "A100": (312e12, 156e12),
    "V100": (125e12, 15.7e12),
    "L40S": (362e12, 183e12),
    "A10": (125e12, 62.5e12),
    "T4": (65e12, 8.1e12),
}


def flops_per_token(
    architecture: Architecture, vocab_size: int, block_size: int, mlm_probability: float, *, relative: bool = True
) -> float:
    """Floating-point operations of training on one token, forward and backward.

    Args:
        architecture: Of the encoder.
        vocab_size: Entries that a masked token is predicted among.
        block_size: Tokens of a sequence.
        mlm_probability: Share of tokens that are predicted.
        relative: Whether positions are relative.
    """
    width = architecture.uniform_layers[-1].hidden_size
    head = mlm_probability * 2 * width * (width + vocab_size)
    return 3 * (num_flops(architecture, block_size, relative=relative) / block_size + head)


def peak_flops(device_name: str, is_half: bool) -> float | None:
    """Peak of a GPU in FLOP/s, by its name; None where it is not known.

    Example:
        >>> peak_flops("NVIDIA A100-SXM4-80GB", is_half=True)
        312000000000000.0
    """
    return next((peaks[0 if is_half else 1] for name, peaks in _PEAKS.items() if name in device_name), None)


def device_peak(device: torch.device, is_half: bool) -> float | None:
    """Peak of the device at hand in FLOP/s; None for a CPU."""
    return peak_flops(torch.cuda.get_device_name(device), is_half) if device.type == "cuda" else None
