"""Kill a pre-training run again and again, resume it, and compare its learning curve with an uninterrupted one.

usage: python benchmarks/pretrain_resume.py [--kills 5] [--steps 120] [--seed 0] [--out FILE.md]

Each run is `python -m pretrain` of BERT-Tiny's shape on the synthetic text, float32, every loss logged, a checkpoint
every 10 steps. SIGKILL comes at a random moment between two checkpoints or while one is written.
"""

import csv
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import outcome

from pretrain.checkpoints import checkpoints, step_of


def command(folder: Path, num_steps: int) -> list[str]:
    flags = {
        "--model_dict": "bert_tiny",
        "--train_file": "demo",
        "--output_dir": str(folder),
        "--vocab_size": "1024",
        "--max_seq_length": "64",
        "--max_steps": str(num_steps),
        "--per_device_train_batch_size": "8",
        "--learning_rate": "1e-3",
        "--logging_steps": "1",
        "--save_strategy": "steps",
        "--save_steps": "10",
        "--save_total_limit": "2",
        "--use_cpu": "true",
    }
    return [sys.executable, "-m", "pretrain", *(word for pair in flags.items() for word in pair), "--resume"]


def killed(folder: Path, num_steps: int, rng: random.Random) -> int | None:
    """Run until some time after the next checkpoint, then kill; the step it had saved, None where it ended first."""
    before = len(checkpoints(folder)) and step_of(checkpoints(folder)[-1])
    process = subprocess.Popen(command(folder, num_steps), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        newest = checkpoints(folder)
        if newest and step_of(newest[-1]) > before:
            time.sleep(rng.uniform(0, 1.0))
            process.send_signal(signal.SIGKILL)
            process.wait()
            return step_of(checkpoints(folder)[-1])
        time.sleep(0.01)
    return None


def losses(folder: Path) -> list[float]:
    with (folder / "learning_curve.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole, broken = Path(scratch) / "whole", Path(scratch) / "broken"
        subprocess.run(command(whole, arguments.steps), check=True, stdout=subprocess.DEVNULL)
        saved = [killed(broken, arguments.steps, rng) for _ in range(arguments.kills)]
        subprocess.run(command(broken, arguments.steps), check=True, stdout=subprocess.DEVNULL)
        one, other = losses(whole), losses(broken)
    furthest = max(abs(a - b) for a, b in zip(one, other, strict=True))
    body = "| what | asked | measured |\n|---|---:|---:|\n"
    body += f"| kills; newest whole checkpoint after each | {arguments.kills} | {', '.join(map(str, saved))} |\n"
    body += f"| losses; greatest difference | 1e-6 | {len(one)}; {furthest:.1e} |\n"
    outcome.publish("Resume of pre-training", ["torch", "transformers"], "SIGKILL.", body, arguments.out)


if __name__ == "__main__":
    main()
