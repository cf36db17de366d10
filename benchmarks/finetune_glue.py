"""Time and memory of `python -m finetune glue` over all the tasks that a folder has.

usage: python benchmarks/finetune_glue.py DATA [CHECKPOINT] [--rows 2000] [--out FILE.md]

DATA is a folder with one folder a task. Without CHECKPOINT: BERT-Tiny's shape with random weights and a tokenizer
trained on the tasks' texts, which takes the time of trained ones but learns little. One epoch, one seed, at most
`--rows` rows to train on and to score. Memory is the greatest resident set of the command.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import outcome
from transformers import set_seed

from design_space.model.presets import preset
from finetune.data import TaskData, available_tasks, load_task
from finetune.tasks import Task
from pretrain.tokenizer import train_tokenizer
from pretrain.train import build_model

ASKED_SECONDS, ASKED_GIGABYTES = 600, 3
VOCAB_SIZE, NUM_POSITIONS = 8_000, 512


def random_checkpoint(folder: Path, tasks: Sequence[Task], data: Sequence[TaskData]) -> Path:
    """A folder with BERT-Tiny's shape."""
    pairs = zip(tasks, data, strict=True)
    texts = (row[field] for task, of_task in pairs for row in of_task.train for field in task.text_fields)
    tokenizer = train_tokenizer(texts, VOCAB_SIZE)
    set_seed(0)
    build_model(preset("bert_tiny"), tokenizer, NUM_POSITIONS).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measured(words: Sequence[str]) -> tuple[dict[str, Any], float, float]:
    """What a command prints as JSON, its seconds and gigabytes."""
    start, kilobytes = time.perf_counter(), 0
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    while child.poll() is None:  # what it prints fits into the pipe
        kilobytes = max(kilobytes, peak_kilobytes(child.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - start
    assert child.returncode == 0, f"exit code {child.returncode}"
    return json.loads(child.communicate()[0].splitlines()[-1]), seconds, kilobytes * 1024 / 1e9


def peak_kilobytes(pid: int) -> int:
    """Greatest resident set of a process so far; `getrusage` counts what the parent had at the start, too."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, default=2000)
    arguments = parser.parse_args()
    tasks = available_tasks(str(arguments.data))
    data = [load_task(task, str(arguments.data)) for task in tasks]
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = arguments.checkpoint or random_checkpoint(Path(scratch, "model"), tasks, data)
        flags = {
            "--model_name_or_path": str(checkpoint),
            "--data": str(arguments.data),
            "--num_train_epochs": "1",
            "--max_train_samples": str(arguments.rows),
            "--max_eval_samples": str(arguments.rows),
            "--output_dir": str(Path(scratch, "out")),
        }
        words = [word for pair in flags.items() for word in pair]
        result, seconds, gigabytes = measured(["-m", "finetune", "glue", *words, "--json"])
    body = "| task | rows trained on | rows scored | metrics | score | seconds |\n|---|---:|---:|---|---:|---:|\n"
    for found, rows in zip(result["tasks"], data, strict=True):
        run = found["runs"][0]
        metrics = ", ".join(f"{name} {100 * value:.1f}" for name, value in run["metrics"].items())
        body += (
            f"| {found['task']} | {len(rows.train[: arguments.rows]):,} | {len(rows.validation[: arguments.rows]):,} "
            f"| {metrics} | {run['score']:.2f} | {run['seconds']:.1f} |\n"
        )
    body += (
        f"| all | | | | {result['score']['mean']:.2f} | {sum(t['runs'][0]['seconds'] for t in result['tasks']):.1f} |\n"
    )
    body += f"""
| what | asked | measured |
|---|---:|---:|
| whole command, s | <= {ASKED_SECONDS} | {seconds:.0f} |
| peak memory, GB | <= {ASKED_GIGABYTES} | {gigabytes:.2f} |
"""
    model = arguments.checkpoint.name if arguments.checkpoint else "BERT-Tiny's shape, random weights"
    setting = f"{model}; one epoch, at most {arguments.rows:,} rows to train on and to score."
    outcome.publish("All of GLUE in one command", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
