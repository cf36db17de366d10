"""What each part of the search is worth: regret with a part left out or changed.

usage: python benchmarks/ablation.py NAS_TABLES RUNS [--seeds 10] [--budget 50] [--variants A,B] [--jobs 1]
                                     [--out FILE.md]

NAS_TABLES is a folder with `tables.json` and the tables it names; RUNS keeps one JSON file an objective and variant, so
that a stopped benchmark goes on where it was. The nine objectives are others than those of `search_regret.py`: they are
what defaults are chosen by. Rows without the objective are left out. Regret is in units of the distance between an
objective's best and its median.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import outcome
import pandas as pd
import torch
from numpy.typing import NDArray

from boshnas import Searcher, Table
from boshnas.policy import Policy
from boshnas.surrogates import GPSurrogate, NPNSurrogate, Surrogate, TeacherStudentSurrogate, gaussian_network
from boshnas.surrogates.training import one_thread
from boshnas.table_file import read_table

Array = NDArray[np.float64]

OBJECTIVES = {
    "nas_bench_graph_cora": "valid_perf",
    "nas_bench_graph_photo": "valid_perf",
    "nas_bench_graph_pubmed": "test_perf",
    "nas_bench_nlp_wikitext2": "test_loss_at_best_val",
    "accel_nasbench_imagenet": "latency_ms_zcu102",
    "hat_latency_iwslt14deen_gpu_titanxp": "latency_ms_total",
    "hat_latency_wmt14ende_cpu_xeon": "latency_ms_total",
    "accel_nasbench_imagenet_seeds": "fewproxy_val_top1_mean",
    "nas_bench_bert_glue": "cola",
}
NUM_INITIAL = 10
CHECKPOINTS = (25, 50)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The search, changed.

    Attributes:
        policy: In place of the default one.
        surrogate: Makes what takes the default one's place.
        patches: Of the code, target and replacement, while it runs.
    """

    policy: Policy = field(default_factory=Policy)
    surrogate: Callable[[], Surrogate] | None = None
    patches: Sequence[tuple[str, Any]] = ()

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for target, replacement in self.patches:
                stack.enter_context(patch(target, replacement))
            yield


def _point_weights(*arguments: Any) -> torch.Tensor:
    """Weights whose variances are nothing but the output's: one noise for all rows."""
    weights = _initial(*arguments)
    weights[:, 1, :-1] = -4.0
    return weights


def _of_one_noise(*arguments: Any) -> torch.Tensor:
    slopes = _gradient(*arguments)
    slopes[:, 1, :-1] = 0.0
    return slopes


_initial, _gradient = gaussian_network.initial, gaussian_network.gradient
_network = "boshnas.surrogates.gaussian_network"

VARIANTS: dict[str, Variant] = {
    "default": Variant(),
    "networks only": Variant(surrogate=NPNSurrogate),
    "process only": Variant(surrogate=GPSurrogate),
    "teacher and student": Variant(surrogate=TeacherStudentSurrogate),
    "one noise and point weights": Variant(
        patches=[(f"{_network}.initial", _point_weights), (f"{_network}.gradient", _of_one_noise)]
    ),
    "equal weights of the parts": Variant(
        patches=[("boshnas.surrogates.combined.stacking_weight", lambda *arguments: 0.5)]
    ),
    "no warp": Variant(patches=[("boshnas.surrogates.warp._STRENGTHS", (0.0,))]),
    "warp of strength 1": Variant(patches=[("boshnas.surrogates.warp._STRENGTHS", (1.0,))]),
    "first-order GOBI": Variant(policy=Policy(exhaustive_up_to=0)),
    "second-order GOBI": Variant(policy=Policy(exhaustive_up_to=0, second_order=True)),
    "ucb": Variant(policy=Policy(acquisition="ucb")),
    "thompson": Variant(policy=Policy(acquisition="thompson")),
    "uncertainty sampling 10 %": Variant(policy=Policy(uncertainty_probability=0.1)),
    "diversity sampling 10 %": Variant(policy=Policy(diversity_probability=0.1)),
}


@one_thread()
def regret(table: Table, variant: Variant, seed: int, budget: int) -> list[float]:
    """After each evaluation; 0 from the best row on."""
    surrogate = None if variant.surrogate is None else variant.surrogate()
    assert not table.unmeasured, f"{table.name}: {len(table.unmeasured)} rows have no value"
    utilities = np.array(list(table.utilities(table.pool.ids).values()), dtype=np.float64)
    search = Searcher(
        table.pool, surrogate, seed=seed, num_initial=NUM_INITIAL, num_proposed=NUM_INITIAL, policy=variant.policy
    )
    seen = np.random.default_rng(seed).permutation(len(utilities))[:NUM_INITIAL].tolist()
    search.tell({table.pool.ids[row]: float(utilities[row]) for row in seen})
    while len(seen) < budget and utilities[seen].max() < utilities.max():
        (id_,) = search.ask(1)
        seen += table.pool.rows([id_]).tolist()
        search.tell({id_: float(utilities[seen[-1]])})
    unit = utilities.max() - np.median(utilities)
    missed = (utilities.max() - np.maximum.accumulate(utilities[seen])) / unit
    return [*missed.tolist(), *[0.0] * (budget - len(seen))]


def measured(folder: Path, table_name: str, variant_name: str, num_seeds: int, budget: int, kept: Path) -> Array:
    """Regret, shape (seeds, budget); from the file where it is there."""
    torch.set_num_threads(1)
    if not kept.exists():
        entry = next(
            entry for entry in json.loads((folder / "tables.json").read_text()) if entry["table"] == table_name
        )
        objective = OBJECTIVES[table_name]
        directions = {item["column"]: item["direction"] for item in entry["objectives"]}
        frame = read_table(folder / entry["file"])
        table = Table(
            frame[pd.to_numeric(frame[objective], errors="coerce").notna()],
            objective=objective,
            features=entry["features"],
            minimize=directions.get(objective) == "minimise",
            name=table_name,
        )
        variant = VARIANTS[variant_name]
        with variant.applied():
            runs = [regret(table, variant, seed, budget) for seed in range(num_seeds)]
        kept.write_text(json.dumps(runs), encoding="utf-8")
    return np.array(json.loads(kept.read_text(encoding="utf-8")))


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=50)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    names = arguments.variants.split(",")
    tasks = [
        (arguments.folder, table, name, arguments.seeds, arguments.budget, arguments.runs / f"{table}-{name}.json")
        for name in names
        for table in OBJECTIVES
    ]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        runs = np.array(list(pool.map(measured, *zip(*tasks, strict=True))))
    runs = runs.reshape(len(names), len(OBJECTIVES), arguments.seeds, arguments.budget)
    heads = [f"after {number}" for number in CHECKPOINTS] + ["mean of all"]
    body = f"| search | {' | '.join(heads)} | better / worse |\n|---|{'---:|' * (len(heads) + 1)}\n"
    areas = runs[..., NUM_INITIAL:].mean(-1)  # (variants, objectives, seeds)
    for place, name in enumerate(names):
        parts = [runs[place, :, :, number - 1] for number in CHECKPOINTS] + [areas[place]]
        cells = [f"{part.mean():.4f} ± {part.mean(0).std(ddof=1) / np.sqrt(part.shape[1]):.4f}" for part in parts]
        away = (areas[place] - areas[0]).mean(-1)
        counts = "" if place == 0 else f"{(away < 0).sum()} / {(away > 0).sum()}"
        body += f"| {name} | {' | '.join(cells)} | {counts} |\n"
    setting = (
        f"{len(OBJECTIVES)} objectives, {arguments.seeds} seeds, {NUM_INITIAL} random rows each, then one at a time; "
        "mean regret over objectives ± its standard error over seeds, in units of best − median; objectives on which "
        "the mean over all evaluations is better or worse than the first line's."
    )
    outcome.publish("What the parts of the search are worth", ["torch", "scipy"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
