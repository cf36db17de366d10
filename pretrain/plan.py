"""What a run would take, told before it is begun: tokens, memory, hours, disk."""

import time
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from transformers import PreTrainedModel

from design_space.architecture import Architecture
from pretrain.memory import memory_bytes
from pretrain.throughput import flops_per_token, peak_flops

GPUS = ("A100", "H100", "H200")
UTILISATION = 0.3  # share of the peak that small encoders reach: an assumption, `result.json` says what was reached
_CHECKPOINT_BYTES = 12  # a parameter: weight and two moments
_TIMED_SEQUENCES = 4
_TIMED_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A run in numbers.

    Attributes:
        architecture: Of the encoder.
        vocab_size: Entries of the tokenizer.
        block_size: Tokens of a sequence.
        mlm_probability: Share of tokens to predict.
        num_sequences: That a device has in memory at once.
        tokens_per_step: Of all devices, accumulated.
        num_devices: That share the work.
        is_half: Whether activations have 16 bits.
    """

    architecture: Architecture
    vocab_size: int
    block_size: int
    mlm_probability: float
    num_sequences: int
    tokens_per_step: int
    num_devices: int
    is_half: bool

    @property
    def flops_per_token(self) -> float:
        """Of training, forward and backward."""
        return flops_per_token(self.architecture, self.vocab_size, self.block_size, self.mlm_probability)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would take.

    Attributes:
        num_steps: Optimizer steps; None where time decides.
        num_tokens: Tokens read; None where time decides.
        params: Parameters, the vocabulary head included.
        memory_gib: Of one device, estimated.
        disk_gib: Of one checkpoint and the finished model.
        hours: By device, at the assumed utilisation; of this machine as measured.
        tokens_per_s_here: Measured on some steps of a small batch.
    """

    num_steps: int | None
    num_tokens: int | None
    params: int
    memory_gib: float
    disk_gib: float
    hours: dict[str, float]
    tokens_per_s_here: float


def plan(model: PreTrainedModel, workload: Workload, num_steps: int | None, max_seconds: float | None) -> Plan:
    """Reckon, and time a few steps of this machine.

    Args:
        model: As it would be trained; changed.
        workload: The run in numbers.
        num_steps: Its length; None where time decides.
        max_seconds: Its length then.
    """
    params = model.num_parameters()
    num_tokens = None if num_steps is None else num_steps * workload.tokens_per_step
    memory = memory_bytes(
        model,
        num_sequences=workload.num_sequences,
        block_size=workload.block_size,
        mlm_probability=workload.mlm_probability,
        is_half=workload.is_half,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    speed = _measured_speed(model, workload)
    hours = {"this machine": (max_seconds or 0.0) / 3600 if num_tokens is None else num_tokens / speed / 3600}
    if num_tokens is not None:
        work = workload.flops_per_token * num_tokens / workload.num_devices
        peaks = {name: peak_flops(name, is_half=True) for name in GPUS}
        hours = {name: work / (peak * UTILISATION) / 3600 for name, peak in peaks.items() if peak} | hours
    return Plan(
        num_steps=num_steps,
        num_tokens=num_tokens,
        params=params,
        memory_gib=memory / 2**30,
        disk_gib=(_CHECKPOINT_BYTES + 4) * params / 2**30,
        hours=hours,
        tokens_per_s_here=speed,
    )


def show(made: Plan, console: Console) -> None:
    """Print a plan as a table."""
    grid = Table(box=None, show_header=False)
    length = "as many as the time allows" if made.num_steps is None else f"{made.num_steps:,}"
    rows = {"steps": length, "tokens": "" if made.num_tokens is None else f"{made.num_tokens:,}"}
    rows |= {"parameters": f"{made.params:,}", "memory of a device": f"about {made.memory_gib:.1f} GiB"}
    rows |= {"disk": f"{made.disk_gib:.2f} GiB for a checkpoint and the finished model, without the corpus cache"}
    rows |= {f"hours, {name}": f"{value:,.2f}" if value >= 1 else f"{value:.2g}" for name, value in made.hours.items()}
    rows |= {"tokens/s, this machine": f"{made.tokens_per_s_here:,.0f}, measured on a small batch"}
    for name, value in rows.items():
        if value:
            grid.add_row(name, value)
    console.print(grid)
    console.print(f"Hours of GPUs assume {UTILISATION:.0%} of their peak in 16 bits.", highlight=False)


def _measured_speed(model: PreTrainedModel, workload: Workload) -> float:
    """Tokens a second of forward, backward and optimizer on a small batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)  # type: ignore[arg-type]
    model.train()
    optimizer = torch.optim.AdamW(model.parameters())
    num_sequences = min(_TIMED_SEQUENCES, workload.num_sequences)
    ids = torch.randint(workload.vocab_size, (num_sequences, workload.block_size), device=device)
    num_predicted = max(1, round(workload.mlm_probability * workload.block_size))
    places = torch.arange(num_predicted, device=device).expand(num_sequences, -1)
    times = []
    for _ in range(1 + _TIMED_STEPS):
        start = time.perf_counter()
        model(input_ids=ids, prediction_positions=places, labels=ids.gather(1, places)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return ids.numel() / (sum(times[1:]) / _TIMED_STEPS)
