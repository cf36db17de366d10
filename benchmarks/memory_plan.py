"""The peak memory of fine-tuning beside its plan, for ten configurations.

usage: python benchmarks/memory_plan.py [--only NAME] [--out FILE.md]

A configuration has a process of its own. A tiny model is trained first, so that libraries and threads have what they
keep; then the model is made with random weights, and the Trainer of `python -m finetune` takes four steps (with M-FAC
more than its window has rows, as these are touched one by one) on random tokens, some rows of each batch padded.
Measured is the greatest resident set (VmHWM of /proc/self/status, which is reset before) above that before training,
where the weights are already: so the plan beside it is without them. With a GPU it is torch.cuda.max_memory_allocated
instead, in bfloat16. MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ make glibc hand freed
blocks back, as what is to be known is the need and not the fragmentation.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import outcome
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    T5Config,
)
from transformers.utils import logging as transformers_logging

from design_space.architecture import Architecture, Layer
from design_space.model import FlexiBertConfig
from finetune.arguments import FinetuneArguments
from finetune.memory.activations import activation_bytes
from finetune.memory.measured import PeakMemory
from finetune.memory.peak import peak
from finetune.trainer import TaskTrainer
from finetune.tuning.settings import Tuning
from finetune.tuning.tune import tune

ASKED = 0.15
MEGABYTE = 1e6
VOCABULARY = 30_522
TARGET_LENGTH = 16
THRESHOLD_BYTES = "65536"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A configuration of the model and of the run."""

    config: Callable[[], PreTrainedConfig]
    batch: int
    length: int
    optimizer: str = "adamw"
    num_grads: int = 8
    tuning: str = "full"
    checkpoints: bool = False


def bert(num_layers: int, width: int, **changed: Any) -> BertConfig:
    return BertConfig(
        vocab_size=VOCABULARY,
        num_hidden_layers=num_layers,
        hidden_size=width,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        **changed,
    )


def roberta() -> RobertaConfig:
    return RobertaConfig(
        vocab_size=50_265,
        max_position_embeddings=514,
        num_hidden_layers=6,
        hidden_size=512,
        num_attention_heads=8,
        intermediate_size=2048,
    )


def flexibert() -> FlexiBertConfig:
    layers = (
        Layer("sa", "wma", 256, 4, (1024,)),
        Layer("l", "dct", 128, 4, (512, 512)),
        Layer("c", "9", 256, 4, (512, 512, 512)),
        Layer("l", "dft", 128, 2, (1024,)),
        Layer("sa", "sdp", 256, 2, (1024,)),
        Layer("c", "5", 128, 4, (512,)),
    )
    return FlexiBertConfig.from_architecture(Architecture(layers), vocab_size=VOCABULARY)


def t5() -> T5Config:
    return T5Config(decoder_start_token_id=0)  # T5-small


CASES = {
    "BERT-Mini, AdamW": Case(config=lambda: bert(4, 256), batch=64, length=128),
    "BERT-Small without dropout, AdamW, long": Case(
        config=lambda: bert(4, 512, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), batch=8, length=512
    ),
    "BERT-Mini, M-FAC, m = 24": Case(config=lambda: bert(4, 256), batch=8, length=64, optimizer="mfac", num_grads=24),
    "FlexiBERT of sa, l and c, AdamW": Case(config=flexibert, batch=32, length=128),
    "FlexiBERT of sa, l and c, SGD, checkpointing, long": Case(
        config=flexibert, batch=16, length=384, optimizer="sgd", checkpoints=True
    ),
    "T5-small, Adafactor": Case(config=t5, batch=8, length=128, optimizer="adafactor"),
    "RoBERTa of 6 layers, SGD with momentum, checkpointing": Case(
        config=roberta, batch=32, length=128, optimizer="sgd_momentum", checkpoints=True
    ),
    "BERT-Small, head alone, AdamW": Case(config=lambda: bert(4, 512), batch=256, length=128, tuning="head"),
    "BERT-Small, adapters, AdamW": Case(config=lambda: bert(4, 512), batch=32, length=128, tuning="adapter"),
    "BERT-Mini, prefixes, AdamW": Case(config=lambda: bert(4, 256), batch=64, length=128, tuning="prefix"),
}


def made(case: Case) -> PreTrainedModel:
    config = case.config()
    kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForSequenceClassification
    model: PreTrainedModel = kind.from_config(config)
    tune(model, Tuning(method=case.tuning))
    return model.train()


def features(config: PreTrainedConfig, case: Case, num_steps: int) -> list[dict[str, Any]]:
    """Rows of random tokens; in each batch some are padded and one is of the full length."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for number in range(case.batch * num_steps):
        words = torch.randint(5, config.vocab_size, (case.length,), generator=generator)
        is_real = torch.arange(case.length) < case.length - (number % case.batch) * case.length // (2 * case.batch)
        label: Any = number % 2
        if config.is_encoder_decoder:
            label = torch.randint(5, config.vocab_size, (TARGET_LENGTH,), generator=generator)
        rows.append({"input_ids": words * is_real, "attention_mask": is_real.long(), "labels": label})
    return rows


def trainer(case: Case, model: PreTrainedModel, num_steps: int, folder: str) -> TaskTrainer:
    arguments = {"mfac": f"num_grads={case.num_grads}", "sgd_momentum": "momentum=0.9"}
    given = FinetuneArguments(
        output_dir=folder,
        max_steps=num_steps,
        per_device_train_batch_size=case.batch,
        optim=case.optimizer.removesuffix("_momentum") if case.optimizer != "adamw" else FinetuneArguments.optim,
        optim_args=arguments.get(case.optimizer),
        gradient_checkpointing=case.checkpoints or None,
        train_sampling_strategy="sequential",
        disable_tqdm=True,
    )
    rows: Any = features(model.config, case, num_steps)
    return TaskTrainer(model=model, args=given, train_dataset=rows, score=lambda _: {})


def measure(case: Case) -> int:
    """Bytes at the peak above the weights."""
    with tempfile.TemporaryDirectory() as folder:
        small = Case(config=lambda: bert(1, 64), batch=2, length=16)
        trainer(small, made(small), 2, folder).train()
        num_steps = case.num_grads + 2 if case.optimizer == "mfac" else 4
        ready = trainer(case, made(case), num_steps, folder)
        gc.collect()
        memory = PeakMemory(ready.args.device)
        ready.train()
        found = memory.num_bytes()
        if found is None:
            raise SystemExit("This system does not tell the greatest resident set.")
        return found


def planned(case: Case) -> tuple[float, str]:
    """Bytes as measured, and what they are."""
    on_gpu = torch.cuda.is_available()
    device, precision = ("cuda", "bf16") if on_gpu else ("cpu", "fp32")
    with torch.device("meta"):
        model = made(case)
    if case.checkpoints:
        getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    step = activation_bytes(
        model, case.batch, case.length, target_length=TARGET_LENGTH, device=device, precision=precision
    )
    found = peak(step, optimizer=case.optimizer, num_grads=case.num_grads, precision=precision, device=device)
    where = "backward" if found.activations else "optimizer"
    return found.total - found.weights, where


def in_process(name: str) -> int:
    """What `measure` gives in a process of its own."""
    surroundings = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), THRESHOLD_BYTES)
    command = [sys.executable, __file__, "--measure", name]
    done = subprocess.run(command, env=os.environ | surroundings, stdout=subprocess.PIPE, text=True, check=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--only", choices=list(CASES), help="one configuration")
    parser.add_argument("--measure", choices=list(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    transformers_logging.set_verbosity_error()
    if arguments.measure:
        sys.stdout.write(json.dumps(measure(CASES[arguments.measure])) + "\n")
        return
    body = "| configuration | batch × tokens | peak in | planned, MB | measured, MB | planned / measured |\n"
    body += "|---|---:|---|---:|---:|---:|\n"
    worst = 0.0
    for name, case in CASES.items():
        if arguments.only in (None, name):
            (plan, where), found = planned(case), in_process(name)
            sys.stderr.write(f"{name}: {plan / MEGABYTE:,.0f} planned, {found / MEGABYTE:,.0f} measured\n")
            size = f"{case.batch} × {case.length}"
            figures = f"{plan / MEGABYTE:,.0f} | {found / MEGABYTE:,.0f} | {plan / found:.3f}"
            body += f"| {name} | {size} | {where} | {figures} |\n"
            worst = max(worst, abs(plan / found - 1))
    body += f"\nFurthest from the measured peak: {worst:.1%} (asked: at most {ASKED:.0%})."
    place = "CUDA, bf16" if torch.cuda.is_available() else "CPU, float32"
    setting = f"{place}, without weights; {torch.get_num_threads()} threads."
    outcome.publish("Planned and measured memory", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
