"""How far searches are from the best row of real tables after 25, 50 and 100 evaluations, beside the peers.

usage: python benchmarks/search_regret.py NAS_TABLES RUNS [--seeds 20] [--methods A,B] [--tables A,B] [--jobs 2]
                                          [--out FILE.md]

NAS_TABLES is a folder with `tables.json` and the tables it names; RUNS keeps one JSON file a table and method, so that
a stopped benchmark goes on where it was (remove the files of a method that has changed). Each is one call of
`python -m boshnas.bench`: 10 random rows, then one at a time, defaults throughout, every run on one thread. BoTorch's
GP needs `pip install botorch`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import outcome
from scipy.stats import rankdata

TABLES = {
    "nas_bench_macro_cifar10": "test_acc_mean",
    "nas_bench_bert_glue": "glue",
    "flexibert_small_sst2": "sst2_dev_acc",
    "nas_bench_graph_arxiv": "valid_perf",
    "accel_nasbench_imagenet": "val_top1",
}
METHODS = "boshnas,random,evolution,local,tpe,rf,ensemble,botorch,optuna-gp"
CHECKPOINTS = ("25", "50", "100")


def run(command: list[str], found: Path) -> dict[str, Any]:
    """What the command says in JSON, kept in a file; from the file where it is there."""
    if not found.exists():
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.write_text(done.stdout.splitlines()[-1] + "\n", encoding="utf-8")
    said: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return said


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    described = {entry["table"]: entry for entry in json.loads((arguments.folder / "tables.json").read_text())}
    arguments.runs.mkdir(parents=True, exist_ok=True)
    methods, tables = arguments.methods.split(","), arguments.tables.split(",")
    results: dict[tuple[str, str], dict[str, Any]] = {}
    for method in methods:
        for table in tables:
            entry = described[table]
            command = [sys.executable, "-m", "boshnas.bench", "--table", str(arguments.folder / entry["file"])]
            command += ["--objective", TABLES[table], "--features", ",".join(entry["features"]), "--methods", method]
            command += ["--seeds", str(arguments.seeds), "--jobs", str(arguments.jobs), "--json"]
            said = run(command, arguments.runs / f"{table}-{method}-{arguments.seeds}.json")
            results[method, table] = said["methods"][method]
    means = np.array([[[results[m, t]["regret"][at] for at in CHECKPOINTS] for m in methods] for t in tables])
    ranks = rankdata(means, axis=1).mean(axis=(0, 2))
    body = f"| method | {' | '.join(tables)} | mean rank | s / proposal |\n|---|{'---:|' * (len(tables) + 2)}\n"
    for place in np.argsort(ranks):
        method = methods[place]
        cells = [
            " / ".join(f"{own['regret'][at]:.3g} ± {own['sem'][at]:.2g}" for at in CHECKPOINTS)
            for own in (results[method, table] for table in tables)
        ]
        seconds = np.mean([results[method, table]["seconds_per_proposal"] for table in tables])
        body += f"| {method} | {' | '.join(cells)} | {ranks[place]:.2f} | {seconds:.2g} |\n"
    setting = (
        f"Mean regret ± its standard error over {arguments.seeds} seeds after 25 / 50 / 100 evaluations, in the "
        "objective's unit; rank by mean regret, mean over tables and 25, 50, 100."
    )
    packages = ["torch", "botorch", "gpytorch", "optuna", "scikit-learn"]
    outcome.publish("Regret of searches on real tables", packages, setting, body, arguments.out)


if __name__ == "__main__":
    main()
