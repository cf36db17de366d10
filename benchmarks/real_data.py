"""The search on real GLUE files: scores of the tasks that are there, those that are absent, the exported model.

usage: python benchmarks/real_data.py DIR [--budget 4] [--pretrain-steps 200] [--finetune-steps 60] [--out FILE.md]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import outcome

from finetune.tasks import GLUE


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--budget", default="4")
    parser.add_argument("--pretrain-steps", default="200")
    parser.add_argument("--finetune-steps", default="60")
    arguments = parser.parse_args()
    options = ["--budget", arguments.budget, "--pretrain-steps", arguments.pretrain_steps]
    options += ["--finetune-steps", arguments.finetune_steps]
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "boshnas.run", "--space", "flexibert_mini", "--data"]
        command += [str(arguments.data.resolve()), *options, "--json"]
        search = subprocess.run(command, cwd=scratch, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(search.stdout.splitlines()[-1])
        assert Path(scratch, result["export_dir"], "model.safetensors").is_file()
    rows = [result["best"] | {"name": f"best, {result['best']['id']}"}, *result["baselines"]]
    tasks = list(result["best"]["tasks"])
    absent = [name for name in GLUE if name not in tasks]
    lines = "\n".join(
        f"| {row['name']} | {row['params']:,} | {row['score']:.2f} | "
        + " | ".join(f"{row['tasks'][task]:.1f}" for task in tasks)
        + " |"
        for row in rows
    )
    setting = (
        f"`{' '.join(options)}`: {result['num_evaluated']} evaluated, {result['num_failed']} failed in "
        f"{result['elapsed_s']:.0f} s; the best exported, and loaded back in a fresh process."
    )
    body = f"""
| model | params | GLUE score | {" | ".join(tasks)} |
|---|---:|---:|{"---:|" * len(tasks)}
{lines}

Absent from the folder: {", ".join(absent)}. Small step counts: these figures show that the whole way runs on real
text, not what the architectures can reach.
"""
    outcome.publish("The search on real GLUE files", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
