"""How well surrogates are calibrated and rank, on rows of real tables that they have not seen.

usage: python benchmarks/surrogate_quality.py NAS_TABLES [--splits 10] [--rows 100,200] [--tables A,B] [--out FILE.md]

NAS_TABLES is a folder with `tables.json` and the tables it names. In each split some rows train, up to 2,000 others
test. Peers on the same features: BoTorch's SingleTaskGP (`pip install botorch`), an ensemble of five networks as in
BANANAS (spread of the members and their mean squared training error), a random forest (rank alone). NLL is Gaussian, of
the objective in units of its standard deviation over the table; coverage that of the central 90 % interval.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import outcome
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor

from boshnas import Table
from boshnas.baselines.ensemble import forward, train
from boshnas.surrogates import default
from boshnas.surrogates.training import one_thread

Array = NDArray[np.float64]
Belief = tuple[Array, Array]
"""Mean and standard deviation of a new measurement."""

OBJECTIVES = {
    "nas_bench_macro_cifar10": "test_acc_mean",
    "nas_bench_bert_glue": "glue",
    "flexibert_small_sst2": "sst2_dev_acc",
    "nas_bench_graph_arxiv": "valid_perf",
    "accel_nasbench_imagenet": "val_top1",
}
MAX_TEST = 2000
Z90 = 1.645


def boshnas(X: Array, y: Array, new: Array, groups: tuple[int, ...], seed: int) -> Belief:
    """The default surrogate."""
    surrogate = default(random_state=seed).set_params(groups=groups).fit(X, y)
    mean, std = surrogate.predict(new, return_std=True)
    return mean, std


def plain_gp(X: Array, y: Array, new: Array, groups: tuple[int, ...], seed: int) -> Belief:
    """BoTorch's SingleTaskGP with its own standardisation and priors."""
    both = np.concatenate([X, new])  # into the unit cube, as it asks for
    low, span = both.min(0), np.maximum(np.ptp(both, axis=0), 1e-12)
    model = SingleTaskGP(torch.tensor((X - low) / span), torch.tensor(y)[:, None])
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    with torch.no_grad():
        belief = model.posterior(torch.tensor((new - low) / span), observation_noise=True)
        return belief.mean[:, 0].numpy(), belief.variance[:, 0].sqrt().numpy()


def ensemble(X: Array, y: Array, new: Array, groups: tuple[int, ...], seed: int) -> Belief:
    """The networks of the search's own baseline."""
    rows, target = (torch.tensor(part, dtype=torch.float32) for part in (X, (y - y.mean()) / y.std()))
    networks = train(rows, target, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        answers = forward(networks, torch.tensor(new, dtype=torch.float32)).double().numpy()
        error = float((forward(networks, rows) - target).square().mean())
    std = np.sqrt(answers.var(axis=0) + error)
    return y.mean() + y.std() * answers.mean(axis=0), y.std() * std


def forest(X: Array, y: Array, new: Array, groups: tuple[int, ...], seed: int) -> Belief:
    """Rank alone; its spread is no standard deviation of a measurement."""
    model = RandomForestRegressor(300, max_features=0.8, random_state=seed).fit(X, y)
    return model.predict(new), np.full(len(new), np.nan)


METHODS: dict[str, Callable[[Array, Array, Array, tuple[int, ...], int], Belief]] = {
    "boshnas": boshnas,
    "SingleTaskGP": plain_gp,
    "five networks": ensemble,
    "forest": forest,
}


def figures(belief: Belief, y: Array, unit: float) -> tuple[float, float, float]:
    """NLL, coverage of 90 %, Spearman's correlation."""
    mean, std = belief
    z = (y - mean) / std
    nll = float(np.mean(0.5 * z**2 + np.log(std / unit) + 0.5 * np.log(2 * np.pi)))
    return nll, float((np.abs(z) < Z90).mean()), float(spearmanr(mean, y).statistic)


@one_thread()
def measured(table: Table, num_rows: int, num_splits: int) -> dict[str, Array]:
    """Figures of each method, shape (splits, 3)."""
    X, groups = table.pool.X, table.pool.groups
    assert groups is not None
    y = np.array(list(table.utilities(table.pool.ids).values()), dtype=np.float64)
    unit = float(y.std())
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in METHODS}
    for seed in range(num_splits):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:num_rows], order[num_rows : num_rows + MAX_TEST]
        for name, method in METHODS.items():
            results[name].append(figures(method(X[train], y[train], X[test], groups, seed), y[test], unit))
    return {name: np.array(rows) for name, rows in results.items()}


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--rows", default="100,200")
    parser.add_argument("--tables", default=",".join(OBJECTIVES))
    arguments = parser.parse_args()
    described = {entry["table"]: entry for entry in json.loads((arguments.folder / "tables.json").read_text())}
    body = "| table | rows | method | NLL | coverage of 90 % | Spearman |\n|---|---:|---|---:|---:|---:|\n"
    for name in arguments.tables.split(","):
        entry = described[name]
        table = Table.read(arguments.folder / entry["file"], OBJECTIVES[name], features=entry["features"])
        for num_rows in map(int, arguments.rows.split(",")):
            for method, rows in measured(table, num_rows, arguments.splits).items():
                (nll, coverage, rank), (nll_std, _, rank_std) = rows.mean(0), rows.std(0)
                believed = "" if np.isnan(nll) else f"{nll:.3f} ± {nll_std:.3f} | {coverage:.3f}"
                body += f"| {name} | {num_rows} | {method} | {believed or ' | '} | {rank:.3f} ± {rank_std:.3f} |\n"
    setting = f"{arguments.splits} splits, mean ± standard deviation over them; all methods see the same features."
    packages = ["torch", "scikit-learn", "botorch", "gpytorch"]
    outcome.publish("Surrogates on unseen rows", packages, setting, body, arguments.out)


if __name__ == "__main__":
    main()
