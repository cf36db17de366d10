"""Tokens a second of pre-training beside transformers' BertForMaskedLM trained the ordinary way.

usage: python benchmarks/pretrain_speed.py TEXT [--steps 5] [--shapes bert_mini,…] [--lengths 128] [--device cpu|cuda]
                                           [--compile] [--out FILE.md]

TEXT is a file or folder of text. The shape of BERT-Mini over 50,265 entries, batches of 32 × 128. The ordinary way: a
line is an example, padded to the longest of its batch or cut, logits at every token. Tokens are those of the text:
padding is not counted. Steps between the two show where the gain comes from. All in one run, one after the other; the
tokenizer is trained on the text, the model's table is filled up to 50,265 entries.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import outcome
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from design_space.model.presets import preset
from pretrain.collate import MaskingCollator
from pretrain.corpus import pack
from pretrain.documents import read_documents
from pretrain.reading import TrainingBlocks
from pretrain.throughput import device_peak, flops_per_token
from pretrain.tokenizer import train_tokenizer

VOCAB_SIZE = 50_265
BATCH = 32
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Way:
    """One way of training.

    Attributes:
        model: Freshly made.
        batches: Endless.
        num_tokens: Of a batch: those of the text.
    """

    model: PreTrainedModel
    batches: Iterator[Batch]
    num_tokens: Callable[[Batch], int]


@dataclass(frozen=True)
class Setting:
    """What is compared.

    Attributes:
        shape: Of the encoder, a preset's name.
        length: Tokens of a sequence.
        documents: Of the text.
        tokenizer: Trained on it.
    """

    shape: str
    length: int
    documents: list[str]
    tokenizer: PreTrainedTokenizerBase

    def padded_lines(self) -> Iterator[Batch]:
        """Lines of the text, cut at the length, padded to the longest of the batch; 15 % masked by transformers."""
        collator = DataCollatorForLanguageModeling(self.tokenizer, mlm_probability=0.15)
        lines = cycle(self.documents)
        while True:
            texts = list(islice(lines, BATCH))
            yield collator([self.tokenizer(text, truncation=True, max_length=self.length) for text in texts])

    def packed_blocks(self) -> Iterator[Batch]:
        """Packed blocks, masked by this project."""
        corpus = pack(self.documents, self.tokenizer, self.length)
        blocks = TrainingBlocks(corpus.train, 2**31, seed=0)
        collator = MaskingCollator(self.tokenizer)
        for start in range(0, 2**31, BATCH):
            yield collator([blocks[place] for place in range(start, start + BATCH)])

    def packed_full(self) -> Iterator[Batch]:
        """The same with a label at every token, as BERT takes it."""
        for batch in self.packed_blocks():
            labels = torch.full_like(batch["input_ids"], -100)
            yield {
                "input_ids": batch["input_ids"],
                "labels": labels.scatter(1, batch["prediction_positions"], batch["labels"]),
            }

    def bert(self) -> PreTrainedModel:
        layers = preset(self.shape).uniform_layers
        first = layers[0]
        return BertForMaskedLM(
            BertConfig(
                vocab_size=VOCAB_SIZE,
                hidden_size=first.hidden_size,
                num_hidden_layers=len(layers),
                num_attention_heads=first.num_heads,
                intermediate_size=first.feed_forward[0],
                pad_token_id=self.tokenizer.pad_token_id,
            )
        )

    def own(self, positions: str = "absolute") -> PreTrainedModel:
        config = FlexiBertConfig.from_architecture(
            preset(self.shape), vocab_size=VOCAB_SIZE, max_position_embeddings=512, position_embedding_type=positions
        )
        return FlexiBertForMaskedLM(config)

    def ways(self) -> dict[str, Callable[[], Way]]:
        """From the ordinary way to this project's, a step at a time."""

        def real(batch: Batch) -> int:
            return int(batch["attention_mask"].sum())

        def whole(batch: Batch) -> int:
            return batch["input_ids"].numel()

        return {
            "BertForMaskedLM, padded lines, all logits": lambda: Way(self.bert(), self.padded_lines(), real),
            "BertForMaskedLM, packed blocks, all logits": lambda: Way(self.bert(), self.packed_full(), whole),
            "this model (absolute), packed, all logits": lambda: Way(self.own(), self.packed_full(), whole),
            "this model (absolute), packed, masked logits": lambda: Way(self.own(), self.packed_blocks(), whole),
            "this model (relative), packed, masked logits": lambda: Way(
                self.own("relative_key"), self.packed_blocks(), whole
            ),
        }


def speed(way: Way, num_steps: int, device: torch.device, is_compiled: bool) -> float:
    """Tokens a second of whole steps: batch, forward, backward, clipping, AdamW; the median step."""
    model = way.model
    model.to(device)  # type: ignore[arg-type]
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    run = torch.compile(model) if is_compiled else model
    rates = []
    for number in range(num_steps + (5 if device.type == "cuda" else 1)):
        start = time.perf_counter()
        batch = next(way.batches)
        num_tokens = way.num_tokens(batch)
        moved = {name: part.to(device) for name, part in batch.items()}
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            loss = run(**moved).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number >= (5 if device.type == "cuda" else 1):
            rates.append(num_tokens / (time.perf_counter() - start))
    return float(np.median(rates))


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("text")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--shapes", default="bert_mini")
    parser.add_argument("--lengths", default="128")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    documents = list(read_documents(arguments.text))
    tokenizer = train_tokenizer(documents, VOCAB_SIZE)
    body = ""
    for shape in arguments.shapes.split(","):
        for length in map(int, arguments.lengths.split(",")):
            torch.manual_seed(0)
            setting = Setting(shape, length, documents, tokenizer)
            rates = {
                name: speed(make(), arguments.steps, device, arguments.compile) for name, make in setting.ways().items()
            }
            body += f"## {shape}, {BATCH} × {length}\n\n| way | tokens/s | of the first | MFU |\n|---|---:|---:|---:|\n"
            first = next(iter(rates.values()))
            work = flops_per_token(preset(shape), VOCAB_SIZE, length, 0.15)
            for name, rate in rates.items():
                known = peak(device) if "masked" in name else None
                share = "" if known is None else f"{rate * work / known:.1%}"
                body += f"| {name} | {rate:,.0f} | {rate / first:.2f} | {share} |\n"
            body += "\n"
    fill = np.mean([min(128, len(ids)) for ids in tokenizer(documents[:2000])["input_ids"]])
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    setting_line = (
        f"{Path(arguments.text).name}, {len(documents):,} lines of {fill:.0f} tokens on the mean (cut at 128); "
        f"tokenizer of {len(tokenizer):,} entries; {name}, {'' if arguments.compile else 'not '}compiled; median of "
        f"{arguments.steps} steps."
    )
    outcome.publish("Speed of pre-training", ["torch", "transformers"], setting_line, body, arguments.out)


def peak(device: torch.device) -> float | None:
    return device_peak(device, is_half=True)


if __name__ == "__main__":
    main()
