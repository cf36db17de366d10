"""Whether a transferred neighbour reaches the loss of a model trained from scratch in half of the steps, on real text.

usage: python benchmarks/transfer.py CORPUS [--steps 600] [--pairs 3] [--out FILE.md]

CORPUS is a folder of text files. For each pair a random architecture of level 2 of `flexibert_mini` is the target, and
one that differs in its last feed-forward stack the source: an overlap of 7/8, such as a search accepts. Held-out loss
of four runs with the same recipe, each with a learning-rate schedule of its own length: the source; the target from
scratch with all steps; the target from the source's weights with half of the steps; and the control, the target from
scratch with half of the steps. Also the time of a transfer between models at 50,265 entries.
"""

import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import outcome
from transformers import PreTrainedTokenizerBase, set_seed
from transformers.utils import logging as transformers_logging

from design_space import Architecture, DesignSpace, Layer
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from design_space.model.presets import preset
from design_space.model.transfer import overlap, transfer
from pretrain.arguments import PretrainArguments
from pretrain.corpus import PackedCorpus, pack
from pretrain.documents import read_documents
from pretrain.tokenizer import train_tokenizer
from pretrain.train import build_model, pretrain

VOCAB_SIZE = 512  # with few entries some hundred steps teach more than how frequent each is
LENGTH = 64
BATCH = 16
LEARNING_RATE = 1e-3


def neighbor_pairs(count: int, seed: int) -> list[tuple[Architecture, Architecture]]:
    """Source and target, of four layers each."""
    rng = np.random.default_rng(seed)
    space = DesignSpace.load("flexibert_mini")
    pairs: list[tuple[Architecture, Architecture]] = []
    while len(pairs) < count:
        target = space.sample(2, 1, rng)[0]
        if len(target.layers) != 4:
            continue
        *others, last = target.uniform_layers
        size = 1024 if last.feed_forward[0] == 512 else 512
        changed = Layer(
            last.operation, last.parameter, last.hidden_size, last.num_heads, (size,) * len(last.feed_forward)
        )
        pairs.append((Architecture((*others, changed)), target))
    return pairs


def train(
    model: FlexiBertForMaskedLM, tokenizer: PreTrainedTokenizerBase, corpus: PackedCorpus, steps: int, seed: int
) -> float:
    """Held-out loss in nats after some steps."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = PretrainArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            seed=seed,
            disable_tqdm=True,
            logging_strategy="no",
        )
        loss = pretrain(model, tokenizer, corpus, arguments).held_out_loss
    assert loss is not None
    return loss


def frequency_entropy(corpus: PackedCorpus) -> float:
    """Loss, in nats, of a model that knows the frequencies of the entries alone."""
    counts = np.bincount(np.asarray(corpus.train).ravel())
    shares = counts[counts > 0] / corpus.train.size
    return float(-(shares * np.log(shares)).sum())


def seconds_of_a_transfer() -> float:
    """From BERT-Mini to FlexiBERT-Mini, both at the size of RoBERTa's vocabulary."""
    source, target = (
        FlexiBertForMaskedLM(FlexiBertConfig.from_architecture(preset(name)))
        for name in ("bert_mini", "flexibert_mini")
    )
    start = time.perf_counter()
    transfer(source, target, "random_projection")
    return time.perf_counter() - start


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    documents = list(read_documents(arguments.corpus))
    tokenizer = train_tokenizer(documents, VOCAB_SIZE)
    corpus = pack(documents, tokenizer, LENGTH)
    half = arguments.steps // 2
    body = f"""
| target | overlap | share copied | source, {arguments.steps} steps | scratch, {arguments.steps} | transferred, \
{half} | scratch, {half} (control) | reached in half |
|---|---:|---:|---:|---:|---:|---:|---|
"""
    for number, (source_form, target_form) in enumerate(neighbor_pairs(arguments.pairs, arguments.seed)):
        seed = arguments.seed + number

        def fresh(form: Architecture, seed: int = seed) -> FlexiBertForMaskedLM:
            set_seed(seed)
            return build_model(form, tokenizer, LENGTH)

        source = fresh(source_form)
        source_loss = train(source, tokenizer, corpus, arguments.steps, seed)
        scratch_loss, control_loss = (
            train(fresh(target_form), tokenizer, corpus, steps, seed + 100) for steps in (arguments.steps, half)
        )
        target = fresh(target_form)
        taken = transfer(source, target)
        loss = train(target, tokenizer, corpus, half, seed + 200)
        layers = itertools.groupby(layer.operation_name for layer in target_form.layers)
        name = ", ".join(f"{len(list(group))} × {operation}" for operation, group in layers)
        body += (
            f"| {target_form.id[:8]} ({name}) | {overlap(source_form, target_form):.3f} | {taken.share:.3f} | "
            f"{source_loss:.3f} | {scratch_loss:.3f} | {loss:.3f} | {control_loss:.3f} | "
            f"{'yes' if loss <= scratch_loss else 'NO'} |\n"
        )
    body += f"""
Losses are held-out cross-entropy over masked tokens, nats; knowing the entries' frequencies alone gives \
{frequency_entropy(corpus):.3f}. A transfer from BERT-Mini to FlexiBERT-Mini at 50,265 \
entries takes {seconds_of_a_transfer():.2f} s (asked: <= 1 s).
"""
    setting = (
        f"`{Path(arguments.corpus).name}` ({len(documents):,} documents, {corpus.train.size / 1e6:.1f} M tokens); "
        f"BPE of {VOCAB_SIZE} entries, {BATCH} × {LENGTH} tokens a step, learning rate {LEARNING_RATE}; "
        f"seed {arguments.seed}."
    )
    outcome.publish("Weight transfer", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
