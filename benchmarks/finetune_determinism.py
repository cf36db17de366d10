"""Whether one seed gives one result: the same run in two fresh processes, for every kind of task.

usage: python benchmarks/finetune_determinism.py DATA CHECKPOINT [--tasks mrpc,stsb,copa,squad_v2] [--rows 128]
                                                 [--out FILE.md]

DATA is a folder with one folder a task. `python -m finetune` on the CPU, two epochs, at most `--rows` rows to train on
and to score. Compared are the metrics, the mean training loss and every weight of the models that are left; the
greatest difference of each is asked to be 0.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import outcome
import torch
from safetensors.torch import load_file

from finetune.outcomes.repeats import points
from finetune.runs import MODEL_FOLDER
from finetune.tasks import parse_tasks

TASKS = "mrpc,stsb,copa,squad_v2"


def run(task: str, data: str, checkpoint: str, num_rows: int, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outcome and weights of one process."""
    flags = {
        "--task_name": task,
        "--data": data,
        "--model_name_or_path": checkpoint,
        "--num_train_epochs": "2",
        "--max_train_samples": str(num_rows),
        "--max_eval_samples": str(num_rows),
        "--output_dir": str(folder),
    }
    words = [word for pair in flags.items() for word in pair]
    command = [sys.executable, "-m", "finetune", *words, "--use_cpu", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])["tasks"][0]["runs"][0]
    return found, load_file(folder / MODEL_FOLDER / "model.safetensors")


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("checkpoint")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--rows", type=int, default=128)
    arguments = parser.parse_args()
    body = "| task | kind | metrics | loss | steps | difference: metrics | loss | weights |\n"
    body += "|---|---|---|---:|---:|---:|---:|---:|\n"
    greatest = 0.0
    for task in parse_tasks(arguments.tasks):
        with tempfile.TemporaryDirectory() as scratch:
            (one, weights), (other, other_weights) = (
                run(task.name, arguments.data, arguments.checkpoint, arguments.rows, Path(scratch, name))
                for name in ("one", "other")
            )
        assert weights.keys() == other_weights.keys()
        assert one["num_steps"] == other["num_steps"]
        differences = [
            max(abs(value - other["metrics"][name]) for name, value in one["metrics"].items()),
            abs(one["loss"] - other["loss"]),
            max(float((value - other_weights[name]).abs().max()) for name, value in weights.items()),
        ]
        greatest = max(greatest, *differences)
        metrics = ", ".join(f"{name} {points(name, value):.2f}" for name, value in one["metrics"].items())
        cells = " | ".join(f"{difference:.1e}" for difference in differences)
        body += f"| {task.name} | {task.problem} | {metrics} | {one['loss']:.4f} | {one['num_steps']} | {cells} |\n"
    body += f"\nGreatest difference: {greatest:g} (asked: 0).\n"
    setting = (
        f"{Path(arguments.checkpoint).name}; two epochs of at most {arguments.rows} rows; CPU, "
        f"{torch.get_num_threads()} threads."
    )
    outcome.publish("Determinism of fine-tuning", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
