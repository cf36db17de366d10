"""How fast a worker trains on this machine, measured on a few real steps."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch

from boshnas.worker.settings import MAX_POSITIONS, Settings
from design_space.architecture import Architecture
from design_space.counts import num_flops
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM, FlexiBertForSequenceClassification
from pretrain.arguments import bf16_supported
from pretrain.throughput import flops_per_token

LIMIT_S = 4.0
"""Of all timed steps together, but for the one that goes beyond it."""

_FIRST_TOKENS = 512
_BUSY = 0.5
"""Load of each core from which on a machine counts as busy."""

Step = Callable[[int], None]
"""Trains on so many sequences."""


@dataclass(frozen=True)
class Batch:
    """What a step of training goes through: sequences, and tokens of each."""

    num_sequences: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """What evaluations take.

    Attributes:
        pretrain: Seconds a FLOP of pre-training.
        finetune: Seconds a FLOP of fine-tuning.
        source: What was measured, in words.
    """

    pretrain: float
    finetune: float
    source: str


def measured_speeds(architecture: Architecture, settings: Settings, length: int, num_threads: int) -> Speeds:
    """Time steps of pre-training and fine-tuning one architecture, in about `LIMIT_S` seconds.

    Beside other work several threads wait for each other, and are slower than one by far: then one thread's times
    count, for a campaign is not to be judged by what a moment of it was like.

    Args:
        architecture: To train.
        settings: What every worker is told.
        length: Tokens of a text in fine-tuning.
        num_threads: Of a worker, where there is no GPU.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = settings.pretrain
    steps = (
        (
            _pretraining(architecture, settings, device),
            Batch(recipe.per_device_train_batch_size, recipe.max_seq_length),
        ),
        (
            _finetuning(architecture, settings, length, device),
            Batch(settings.finetune.per_device_train_batch_size, length),
        ),
    )
    counts = (1,) if device.type == "cuda" else tuple(dict.fromkeys((num_threads, 1)))
    limit_s = LIMIT_S / len(steps) / len(counts)
    pretraining, finetuning = (
        min(_seconds_a_sequence(step, batch, count, limit_s) for count in counts) for step, batch in steps
    )
    per_sequence = recipe.max_seq_length * flops_per_token(
        architecture, recipe.vocab_size, recipe.max_seq_length, recipe.mlm_probability
    )
    return Speeds(
        pretrain=pretraining / per_sequence,
        finetune=finetuning / (3 * num_flops(architecture, length)),
        source=_name(device, num_threads),
    )


def _name(device: torch.device, num_threads: int) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    plural = "" if num_threads == 1 else "s"
    is_busy = os.getloadavg()[0] > _BUSY * (os.cpu_count() or 1)
    return f"CPU, {num_threads} thread{plural}{', beside other work' if is_busy else ''}"


def startup_seconds() -> float:
    """How long a worker takes until it has imported what it needs."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import boshnas.worker.evaluation"], check=True, capture_output=True)
    return time.perf_counter() - start


def _seconds_a_sequence(step: Step, batch: Batch, num_threads: int, limit_s: float) -> float:
    """Time steps of some sequences, twice as many and so on up to the batch, as far as the limit allows; of the last.

    What a step takes whatever its size, for the optimizer, counts the less the nearer it comes to the batch.
    """
    with _threads(num_threads):
        deadline = time.perf_counter() + limit_s
        num = max(1, min(batch.num_sequences, _FIRST_TOKENS // batch.length))
        _timed(step, num)  # the first makes buffers and chooses kernels
        seconds = _timed(step, num)
        while num < batch.num_sequences and time.perf_counter() + 3 * seconds < deadline:
            larger = min(2 * num, batch.num_sequences)
            try:
                seconds = _timed(step, larger)
            except torch.OutOfMemoryError:
                break  # there, a worker would split its batch
            num = larger
        times = [seconds]
        while time.perf_counter() + seconds < deadline:
            times.append(_timed(step, num))
    return median(times) / num


def _timed(step: Step, num: int) -> float:
    start = time.perf_counter()
    step(num)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _pretraining(architecture: Architecture, settings: Settings, device: torch.device) -> Step:
    recipe = settings.pretrain
    model = FlexiBertForMaskedLM(_config(architecture, settings))
    num_predicted = max(1, round(recipe.mlm_probability * recipe.max_seq_length))

    def inputs(num: int) -> dict[str, torch.Tensor]:
        ids = torch.randint(recipe.vocab_size, (num, recipe.max_seq_length), device=device)
        places = torch.arange(num_predicted, device=device).expand(num, -1)
        return {"input_ids": ids, "prediction_positions": places, "labels": ids.gather(1, places)}

    return _step(model, inputs, device)


def _finetuning(architecture: Architecture, settings: Settings, length: int, device: torch.device) -> Step:
    model = FlexiBertForSequenceClassification(_config(architecture, settings))

    def inputs(num: int) -> dict[str, torch.Tensor]:
        ids = torch.randint(settings.pretrain.vocab_size, (num, length), device=device)
        return {"input_ids": ids, "labels": torch.randint(2, (num,), device=device)}

    return _step(model, inputs, device)


def _config(architecture: Architecture, settings: Settings) -> FlexiBertConfig:
    return FlexiBertConfig.from_architecture(
        architecture,
        vocab_size=settings.pretrain.vocab_size,
        max_position_embeddings=MAX_POSITIONS,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
    )


def _step(model: torch.nn.Module, inputs: Callable[[int], dict[str, torch.Tensor]], device: torch.device) -> Step:
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters())

    def step(num: int) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16_supported()):
            loss = model(**inputs(num)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
