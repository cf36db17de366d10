"""Examples a second of fine-tuning on MRPC beside the transformers Trainer with every row padded to 128.

usage: python benchmarks/finetune_speed.py DATA [--repeats 3] [--rows N] [--out FILE.md]

DATA is a folder with one folder a task. BERT-Mini's shape with random weights, a WordPiece tokenizer trained on the
training rows, batch 32, 128 tokens at most, one epoch, float32 on the CPU. The peer is what transformers' `run_glue.py`
does by default: `padding="max_length"`, random order. Beside it `finetune.train.finetune`, in its own order and in a
random one, to show where the gain comes from. Rows, model, optimizer and rate are the same, tokenizing is done before
the clock starts, which runs from the first batch to the last step. The ways take turns; a ratio is the median over the
turns.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import outcome
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from finetune.arguments import FinetuneArguments
from finetune.data import Row, TaskData, load_task
from finetune.tasks import GLUE
from finetune.train import finetune
from pretrain.tokenizer import train_tokenizer

TASK = GLUE["mrpc"]
BATCH, LENGTH, VOCAB_SIZE = 32, 128, 8_000
ASKED = 1.5
SHARED: dict[str, Any] = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": BATCH,
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "warmup_steps": 0.06,
    "logging_steps": 10,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
    "dataloader_pin_memory": False,
}


class Meter(TrainerCallback):
    """Seconds from the first batch to the last step, and tokens of the batches, padding included."""

    def __init__(self) -> None:
        self.start = self.end = 0.0
        self.tokens: list[int] = []

    def on_train_begin(self, *_: Any, **further: Any) -> None:
        def count(_: Any, __: Any, batch: dict[str, Any]) -> None:
            self.tokens.append(batch["input_ids"].numel())

        self.hook = further["model"].register_forward_pre_hook(count, with_kwargs=True)
        self.start = time.perf_counter()

    def on_step_end(self, *_: Any, **further: Any) -> None:
        self.end = time.perf_counter()

    def on_train_end(self, *_: Any, **further: Any) -> None:
        self.hook.remove()


def peer(checkpoint: str, rows: Sequence[Row], seed: int, meter: Meter) -> None:
    """The Trainer as it is."""
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    texts = [[row[field] for row in rows] for field in TASK.text_fields]
    encoded = tokenizer(*texts, padding="max_length", truncation=True, max_length=LENGTH)
    columns = {**encoded, "labels": [row["label"] for row in rows]}
    features = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(output_dir=scratch, seed=seed, **SHARED)
        Trainer(model, arguments, default_data_collator, features, callbacks=[meter]).train()


def own(order: str) -> Callable[[str, Sequence[Row], int, Meter], None]:
    """This project's training."""

    def train(checkpoint: str, rows: Sequence[Row], seed: int, meter: Meter) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            arguments = FinetuneArguments(output_dir=scratch, seed=seed, train_sampling_strategy=order, **SHARED)
            finetune(checkpoint, TASK, TaskData(rows, rows[:BATCH]), arguments, callbacks=[meter])

    return train


WAYS = {
    "transformers Trainer, padded to 128": peer,
    "finetune, padded to the longest of a batch, random order": own("random"),
    "finetune, padded to the longest of a batch, by length (default)": own("group_by_length"),
}


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    rows = load_task(TASK, str(arguments.data)).train
    documents = [row[field] for row in rows for field in TASK.text_fields]
    tokenizer = train_tokenizer(documents, VOCAB_SIZE, kind="wordpiece", lowercase=True)
    rows = rows[: arguments.rows]
    meters: dict[str, list[Meter]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as checkpoint, contextlib.redirect_stdout(sys.stderr):
        set_seed(0)
        shape = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=1024,
            pad_token_id=tokenizer.pad_token_id,
        )
        BertModel(shape).save_pretrained(checkpoint)
        tokenizer.save_pretrained(checkpoint)
        for way in WAYS.values():
            way(checkpoint, rows[: 2 * BATCH], 0, Meter())  # whatever is done once only
        for seed in range(arguments.repeats):
            for name, way in WAYS.items():
                meters[name].append(Meter())
                way(checkpoint, rows, seed, meters[name][-1])
    seconds = {name: [meter.end - meter.start for meter in runs] for name, runs in meters.items()}
    first, *_, last = seconds
    body = "| way | examples/s (slowest to fastest) | tokens a batch | length | ratio | asked |\n"
    body += "|---|---:|---:|---:|---:|---:|\n"
    for name, times in seconds.items():
        ratio = statistics.median(b / a for a, b in zip(times, seconds[first], strict=True))
        rates = sorted(len(rows) / time for time in times)
        tokens = statistics.mean(sum(meter.tokens) for meter in meters[name])
        body += (
            f"| {name} | {statistics.median(rates):,.1f} ({rates[0]:,.1f} to {rates[-1]:,.1f}) "
            f"| {tokens / len(meters[name][0].tokens):,.0f} | {tokens / len(rows):.0f} | {ratio:.2f} "
            f"| {f'>= {ASKED}' if name == last else ''} |\n"
        )
    lengths = [
        min(LENGTH, len(ids)) for ids in tokenizer(*[[r[f] for r in rows] for f in TASK.text_fields])["input_ids"]
    ]
    setting = (
        f"MRPC, {len(rows):,} rows of {statistics.mean(lengths):.0f} tokens on the mean, {len(tokenizer):,} entries; "
        f"CPU, {torch.get_num_threads()} threads; {arguments.repeats} repeats."
    )
    outcome.publish("Speed of fine-tuning", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
