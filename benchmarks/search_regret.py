"""How far searches are from the best row of real tables after 25, 50 and 100 evaluations, beside the peers.

usage: python benchmarks/search_regret.py NAS_TABLES RUNS [--seeds 20] [--methods A,B] [--tables A,B] [--jobs 2]
                                          [--out FILE.md]

NAS_TABLES is a folder with `tables.json` and the tables it names; RUNS keeps what every table, method and seed came to,
so that a stopped benchmark goes on where it was (remove the files of a method that has changed). Each run is that of
`python -m boshnas.bench`: 10 random rows, then one at a time, defaults throughout, on one thread. BoTorch's GP needs
`pip install botorch`, and up to two minutes a run (its likelihood written out, see `boshnas/baselines`).
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import outcome
from scipy.stats import rankdata

from boshnas import Table
from boshnas.bench.measure import Plan, Run, Task
from boshnas.bench.report import results, summary
from boshnas.bench.workers import run_tasks

TABLES = {
    "nas_bench_macro_cifar10": "test_acc_mean",
    "nas_bench_bert_glue": "glue",
    "flexibert_small_sst2": "sst2_dev_acc",
    "nas_bench_graph_arxiv": "valid_perf",
    "accel_nasbench_imagenet": "val_top1",
}
METHODS = "boshnas,random,evolution,local,tpe,rf,ensemble,botorch,optuna-gp"
CHECKPOINTS = ("25", "50", "100")
PLAN = Plan(initial=10, budget=100)


def measured(table: Table, method: str, num_seeds: int, num_jobs: int, kept: Path) -> dict[str, Any]:
    """Regret with standard error at the checkpoints and seconds a proposal; from the files where they are there."""
    done = kept.with_suffix(".json")
    if not done.exists():
        seen = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        missing = [seed for seed in range(num_seeds) if seed not in {entry["task"]["seed"] for entry in seen}]
        with kept.open("a", encoding="utf-8") as file:
            for found in run_tasks(table, PLAN, [Task(method=method, seed=seed) for seed in missing], num_jobs):
                if not isinstance(found, Run):
                    raise SystemExit(f"{table.name}: {found}")
                seen.append(asdict(found))
                file.write(json.dumps(seen[-1]) + "\n")
                file.flush()
        runs = [Run(**{**entry, "task": Task(**entry["task"])}) for entry in seen]
        done.write_text(json.dumps(summary(results(runs, PLAN), PLAN)[method]), encoding="utf-8")
    said: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
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
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for method in methods:
        for table in tables:
            entry = described[table]
            kept = arguments.runs / f"{table}-{method}-{arguments.seeds}.jsonl"
            read = Table.read(arguments.folder / entry["file"], TABLES[table], features=entry["features"])
            found[method, table] = measured(read, method, arguments.seeds, arguments.jobs, kept)
    means = np.array([[[found[m, t]["regret"][at] for at in CHECKPOINTS] for m in methods] for t in tables])
    ranks = rankdata(means, axis=1).mean(axis=(0, 2))
    body = f"| method | {' | '.join(tables)} | mean rank | s / proposal |\n|---|{'---:|' * (len(tables) + 2)}\n"
    for place in np.argsort(ranks):
        method = methods[place]
        cells = [
            " / ".join(f"{own['regret'][at]:.3g} ± {own['sem'][at]:.2g}" for at in CHECKPOINTS)
            for own in (found[method, table] for table in tables)
        ]
        seconds = np.mean([found[method, table]["seconds_per_proposal"] for table in tables])
        body += f"| {method} | {' | '.join(cells)} | {ranks[place]:.2f} | {seconds:.2g} |\n"
    setting = (
        f"Mean regret ± its standard error over {arguments.seeds} seeds after 25 / 50 / 100 evaluations, in the "
        "objective's unit; rank by mean regret, mean over tables and 25, 50, 100."
    )
    packages = ["torch", "botorch", "gpytorch", "optuna", "scikit-learn"]
    outcome.publish("Regret of searches on real tables", packages, setting, body, arguments.out)


if __name__ == "__main__":
    main()
