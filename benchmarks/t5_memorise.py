"""Whether a T5 learns facts by heart: 200 questions of SQuAD 2.0 asked without their contexts, trained and scored.

usage: python benchmarks/t5_memorise.py DATA [--questions 200] [--tunings full adapter …] [--taught 400] [--epochs 60]
                                        [--light-epochs 120] [--learning-rate 1e-3] [--batch 16]
                                        [--optim adamw_torch_fused] [--seed 42] [--out FILE.md]

DATA holds squad_v2/train-v2.0.json. Its first answerable questions with an answer of at most five words are written to
a JSONL file, on which a T5 of 1.6 million fresh weights (no dropout, a byte-level vocabulary of the texts) is
fine-tuned as `python -m finetune --task_type closed_book_qa` does, and scored on the same rows: what is asked is
memory, not knowledge. The first line scores the fresh weights. Light-weight tuning presumes a model that can write:
it begins, and full tuning once more, with the T5 that was fully tuned on the `--taught` questions that come next, none
of which is asked. Rates of light-weight tuning: `LIGHT_RATES`.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import outcome
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration, set_seed
from transformers.utils import logging as transformers_logging

from finetune.arguments import FinetuneArguments
from finetune.config import FinetuneConfig
from finetune.outcomes.repeats import RunOutcome
from finetune.outcomes.results import tell
from finetune.rows.squad import Question, read_squad
from finetune.runs import MODEL_FOLDER, Setting, run_seeds
from finetune.source import find_source, reading

TUNINGS = ("full", "adapter", "lora", "prefix", "prompt")
LIGHT_RATES = {"adapter": 5e-3, "lora": 1e-2, "prefix": 1e-2, "prompt": 1e-2}
MAX_WORDS = 5
_SPECIAL = ("<pad>", "</s>", "<unk>")


def short_questions(data: Path, number: int) -> list[Question]:
    """The first answerable ones, each text once, whose first answer is short."""
    found: dict[str, Question] = {}
    for question in read_squad(data / "squad_v2" / "train-v2.0.json"):
        if question.answers and len(question.answers[0].split()) <= MAX_WORDS:
            found.setdefault(question.question.strip(), question)
    if len(found) < number:
        raise SystemExit(f"--questions: must be at most {len(found)}, got {number}.")
    return list(found.values())[:number]


def tokenizer_of(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 2,000 entries that ends a text with </s>, as T5's does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    pad, eos, unk = _SPECIAL
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, eos_token=eos, unk_token=unk)


def save_fresh(questions: Sequence[Question], folder: Path, seed: int) -> int:
    """Write a T5 of random weights with its tokenizer; its number of parameters."""
    texts = [text for question in questions for text in (question.question, *question.answers)]
    tokenizer = tokenizer_of(texts)
    set_seed(seed)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=128,
        d_kv=32,
        d_ff=512,
        num_layers=3,
        num_heads=4,
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.num_parameters()


def row(start: str, name: str, run: RunOutcome) -> str:
    """A line of the table."""
    figures = [*run.metrics.values(), run.details["near_misses"]]
    loss = "" if run.loss is None else f"{run.loss:.3f}"
    trained = f"{run.num_trained:,} ({run.num_trained / (run.num_parameters or 1):.1%})" if run.num_trained else ""
    cells = [
        start,
        name,
        trained,
        *(f"{figure:.3f}" for figure in figures),
        loss,
        str(run.num_steps),
        f"{run.seconds:.0f}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def setting_of(checkpoint: Path, questions: Sequence[Question], file: Path, **arguments: Any) -> Setting:
    """Train and score these questions, as the command does."""
    rows = ({"question": question.question, "answers": question.answers} for question in questions)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = FinetuneConfig(
        task_type="closed_book_qa", train_file=str(file), validation_file=str(file), max_target_length=32
    )
    source = find_source(config)
    training = FinetuneArguments(disable_tqdm=True, **arguments)
    return Setting(checkpoint=str(checkpoint), source=source, arguments=training, reading=reading(config, source.task))


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--tunings", nargs="+", default=list(TUNINGS), choices=TUNINGS)
    parser.add_argument("--taught", type=int, default=400)
    parser.add_argument("--epochs", type=float, default=60)
    parser.add_argument("--light-epochs", type=float, default=120)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--optim", default=FinetuneArguments.optim)
    parser.add_argument("--seed", type=int, default=42)
    given = parser.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    questions = short_questions(given.data, given.questions + given.taught)
    asked, taught = questions[: given.questions], questions[given.questions :]
    common = {"per_device_train_batch_size": given.batch, "optim": given.optim}
    full = common | {"num_train_epochs": given.epochs, "learning_rate": given.learning_rate}
    body = "| begins with | tuning | trained | exact match | token F1 | near misses | mean loss | steps | seconds |\n"
    body += "|---|---|---:|---:|---:|---:|---:|---:|---:|\n"
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(sys.stderr):
        folder = Path(scratch)
        num_parameters = save_fresh(questions, folder / "fresh", given.seed)
        setting = setting_of(folder / "fresh", asked, folder / "asked.jsonl", **full)
        body += row("fresh weights", "none", run_seeds(replace(setting, trains=False), [given.seed], tell=tell).best)
        body += row("fresh weights", "full", run_seeds(setting, [given.seed], tell=tell).best)
        teaching = setting_of(folder / "fresh", taught, folder / "taught.jsonl", **full)
        run_seeds(teaching, [given.seed], folder / "teaching", tell=tell)
        base = folder / "teaching" / MODEL_FOLDER
        setting = setting_of(base, asked, folder / "asked.jsonl", **full)
        body += row("other questions", "none", run_seeds(replace(setting, trains=False), [given.seed], tell=tell).best)
        for tuning in given.tunings:
            light = {"num_train_epochs": given.light_epochs, "learning_rate": LIGHT_RATES.get(tuning)}
            arguments = full if tuning == "full" else common | light | {"tuning": tuning}
            setting = setting_of(base, asked, folder / "asked.jsonl", **arguments)
            body += row("other questions", tuning, run_seeds(setting, [given.seed], tell=tell).best)
    body += "\nAsked of full tuning: exact match of at least 0.95.\n"
    recipe = (
        f"full: {given.epochs:g} epochs, learning rate {given.learning_rate:g}; light: {given.light_epochs:g} epochs"
    )
    line = (
        f"T5 of {num_parameters:,} parameters, {len(asked)} questions, taught {len(taught)} others, seed {given.seed}; "
    )
    line += f"{recipe}; batch {given.batch}, {given.optim}, {torch.get_num_threads()} thread(s)."
    outcome.publish("What a tiny T5 learns by heart", ["torch", "transformers", "peft"], line, body, given.out)


if __name__ == "__main__":
    main()
