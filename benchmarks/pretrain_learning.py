"""What ten minutes of pre-training learn of real text, beside what token frequencies alone say.

usage: python benchmarks/pretrain_learning.py TEXT [--seconds 600] [--out FILE.md]

TEXT is a file or folder of text. BERT-Tiny's shape, 8,000 entries, `python -m pretrain --max_seconds`. The unigram
entropy is the cross-entropy of the held-out ordinary tokens under the frequencies of the training tokens (one added to
each count).
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import outcome

from pretrain.corpus import pack
from pretrain.documents import read_documents
from pretrain.tokenizer import load_tokenizer

BLOCK_SIZE = 128


def unigram_entropy(text: str, folder: Path) -> float:
    """Of held-out tokens, in nats."""
    tokenizer = load_tokenizer(folder)
    corpus = pack(read_documents(text), tokenizer, BLOCK_SIZE)
    counts = 1 + np.bincount(np.asarray(corpus.train).ravel(), minlength=len(tokenizer))
    counts[tokenizer.all_special_ids] = 0
    held_out = np.asarray(corpus.held_out).ravel()
    ordinary = held_out[~np.isin(held_out, tokenizer.all_special_ids)]
    return float(-np.log(counts[ordinary] / counts.sum()).mean())


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("text")
    parser.add_argument("--seconds", type=float, default=600)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        flags = {
            "--model_dict": "bert_tiny",
            "--train_file": arguments.text,
            "--output_dir": str(folder),
            "--vocab_size": "8000",
            "--max_seq_length": str(BLOCK_SIZE),
            "--max_seconds": f"{arguments.seconds:g}",
            "--per_device_train_batch_size": "32",
            "--learning_rate": "2e-3",
            "--logging_steps": "50",
            "--eval_strategy": "steps",
            "--eval_steps": "500",
        }
        words = [word for pair in flags.items() for word in pair]
        subprocess.run([sys.executable, "-m", "pretrain", *words], check=True)
        result = json.loads((folder / "result.json").read_text())
        entropy = unigram_entropy(arguments.text, folder)
        with (folder / "learning_curve.csv").open(newline="") as file:
            curve = [(row["step"], row["held_out_loss"]) for row in csv.DictReader(file) if row["held_out_loss"]]
    loss = result["held_out_loss"]
    body = "| what | asked | measured |\n|---|---:|---:|\n"
    body += f"| held-out unigram entropy, nats | | {entropy:.3f} |\n| held-out masked loss, nats | | {loss:.3f} |\n"
    body += f"| below the entropy | 0.8 | {entropy - loss:.3f} |\n"
    body += f"| steps; tokens/s | | {result['num_steps']:,}; {result['tokens_per_s']:,.0f} |\n\n"
    body += "| step | held-out loss |\n|---:|---:|\n" + "".join(f"| {s} | {float(v):.3f} |\n" for s, v in curve)
    setting = f"{Path(arguments.text).name}, {arguments.seconds:g} s."
    outcome.publish("Learning of pre-training", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
