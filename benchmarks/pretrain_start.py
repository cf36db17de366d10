"""Seconds from the end of imports to the first step, of the first and of the second candidate on a corpus.

usage: python benchmarks/pretrain_start.py TEXT [--out FILE.md]

TEXT is a file or folder of text, of about 10 MB. Each candidate is a fresh process that trains one step of 32 × 128
with BERT-Mini's shape and 8,192 entries, and saves; the cache is empty at first.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import outcome

PROGRAM = """
import sys, time
from pretrain import command, train
start = time.perf_counter()
def report(step, num_steps):
    sys.stderr.write(f"first step {time.perf_counter() - start:.3f}\\n")
original = train.pretrain
command.pretrain = lambda *a: original(*a, report=report)
command.run_command(sys.argv[1:])
"""


def seconds(text: str, folder: Path, number: int) -> float:
    flags = {
        "--model_dict": "bert_mini",
        "--train_file": text,
        "--cache_dir": str(folder / "cache"),
        "--output_dir": str(folder / str(number)),
        "--max_steps": "1",
        "--use_cpu": "true",
    }
    words = [word for pair in flags.items() for word in pair]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], check=True, capture_output=True, text=True)
    return float(next(line for line in done.stderr.splitlines() if line.startswith("first step")).split()[-1])


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("text")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        first, second = (seconds(arguments.text, Path(scratch), number) for number in range(2))
    path = Path(arguments.text)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    body = "| candidate | asked | seconds to the first step |\n|---|---:|---:|\n"
    body += f"| first: tokenizer and corpus are made | | {first:.1f} |\n| second | 3 | {second:.1f} |\n"
    setting = f"{size:.1f} MB of text; the step itself included."
    outcome.publish("Start of a candidate", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
