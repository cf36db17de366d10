"""Memory of fine-tuning: weights, gradients and what an optimizer keeps, from the number of parameters alone.

Activations are not among them: they follow from batch, length and architecture, see `finetune.memory.peak`.

Symbols: P parameters of the model, T those that are trained, some of P or added to them.
"""

from dataclasses import asdict, dataclass, replace

from design_space.errors import InputError, did_you_mean
from finetune.tuning.settings import ADDED, FULL, METHODS

GIB = 2**30
PRECISIONS = ("fp32", "bf16", "fp16", "pure_bf16")
OPTIMIZERS = {"adamw": 2.0, "sgd": 0.0, "sgd_momentum": 1.0, "adafactor": 0.0, "mfac": 1.0}
"""Vectors of T numbers that each keeps: two moments; none; velocity; rows and columns alone, which are far fewer; the
preconditioned gradient, its window apart."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of each part.

    Attributes:
        weights: Of the model.
        casts: Weights that mixed precision keeps in 16 bits while it computes.
        added_weights: Of adapters and the like.
        gradients: Of what is trained.
        optimizer: Its vectors.
        window: Of M-FAC: m gradients, and the m × m matrix of their products.
        activations: All else that is there in the backward pass; None: not counted.
        temporaries: What the optimizer makes for a step.
    """

    weights: float
    casts: float
    added_weights: float
    gradients: float
    optimizer: float
    window: float
    activations: float | None = None
    temporaries: float = 0.0

    @property
    def total(self) -> float:
        """Of all parts that are counted."""
        return float(sum(value or 0 for value in asdict(self).values()))

    def per_gpu(self, num_gpus: int) -> "Memory":
        """Where every part but the activations is divided among GPUs (FSDP with full sharding)."""
        shared = {name: value / num_gpus for name, value in asdict(self).items() if name != "activations"}
        return replace(self, **shared)


def plan(
    num_parameters: float,
    *,
    tuning: str = FULL,
    share: float = 0.05,
    optimizer: str = "adamw",
    precision: str = "fp32",
    num_grads: int = 1024,
) -> Memory:
    """What fine-tuning keeps in memory, activations apart.

    Args:
        num_parameters: P.
        tuning: One of `METHODS`; those of `ADDED` train parameters beside the model's.
        share: T / P, for all but "full".
        optimizer: One of `OPTIMIZERS`.
        precision: "fp32"; "bf16" and "fp16" compute in 16 bits beside weights in 32; "pure_bf16" has 16 bits alone.
        num_grads: Window of M-FAC, m.

    Raises:
        InputError: If a name is unknown or a number outside its range.

    Example:
        >>> f"{plan(3e9).total / GIB:.3f} {plan(3e9, tuning='adapter', share=0.05).total / GIB:.3f}"
        '44.703 13.411'
    """
    check_settings(tuning, share, optimizer, precision, num_grads)
    if not 0 < num_parameters < float("inf"):
        raise InputError(f"--params: must be above 0 and finite, got {num_parameters:g}.")
    trained = num_parameters if tuning == FULL else share * num_parameters
    width = 2 if precision == "pure_bf16" else 4
    is_mfac = optimizer == "mfac"
    return Memory(
        weights=num_parameters * width,
        casts=num_parameters * 2 if precision in ("bf16", "fp16") else 0,
        added_weights=trained * width if tuning in ADDED else 0,
        gradients=trained * width,
        optimizer=trained * OPTIMIZERS[optimizer] * (4 if is_mfac else width),
        window=num_grads * (trained * 4 + num_grads * 8) if is_mfac else 0,
    )


def check_settings(tuning: str, share: float, optimizer: str, precision: str, num_grads: int) -> None:
    """Refuse unknown names and numbers outside their range; arguments as for `plan`.

    Raises:
        InputError: With the option's name.
    """
    for name, value, known in (
        ("tuning", tuning, METHODS),
        ("optim", optimizer, OPTIMIZERS),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise InputError(f"--{name}: must be one of {', '.join(known)}, got {value!r}.{did_you_mean(value, known)}")
    if not 0 < share <= 1:
        raise InputError(f"--adapter_share: must be above 0 and at most 1, got {share:g}.")
    if num_grads < 2:
        raise InputError(f"--num_grads: must be at least 2, got {num_grads}.")
