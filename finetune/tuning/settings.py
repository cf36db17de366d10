"""The ways of tuning, and what each is told."""

from dataclasses import dataclass

from design_space.errors import InputError, did_you_mean

FULL = "full"
ADDED = ("adapter", "lora", "prompt", "prefix")
METHODS = (FULL, *ADDED, "head", "bitfit")
"""All weights; weights beside them; the head alone; the head and all biases."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What is trained.

    Attributes:
        method: One of `METHODS`.
        adapter_reduction_factor: Width of a layer over that of its adapters.
        lora_rank: Of the product that LoRA adds to a weight.
        lora_alpha: Its scale, times the rank.
        lora_target_modules: Ends of the names of the linear layers that it is added to; query and value where empty.
        num_virtual_tokens: Of a prompt or prefix.
        reparameterization_size: Hidden units of the network that makes them while they are learnt.

    Raises:
        InputError: If the method is unknown or a number below its least.
    """

    method: str = FULL
    adapter_reduction_factor: int = 16
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_target_modules: tuple[str, ...] = ()
    num_virtual_tokens: int = 20
    reparameterization_size: int = 128

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            known = ", ".join(METHODS)
            raise InputError(
                f"--tuning: must be one of {known}, got {self.method!r}.{did_you_mean(self.method, METHODS)}"
            )
        for name in (
            "adapter_reduction_factor",
            "lora_rank",
            "lora_alpha",
            "num_virtual_tokens",
            "reparameterization_size",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}: must be at least 1, got {getattr(self, name)}. Give a positive number.")
