"""Whether the aleatoric deviation is the noise: rank correlation with the known one, and what more data do to it.

usage: python benchmarks/aleatoric.py [NAS_TABLES] [--seeds 10] [--out FILE.md]

Three functions of 8, 12 and 16 inputs in [−1, 1], 200 rows measured three times each; 1,000 other rows test. With
NAS_TABLES also `nas_bench_macro_cifar10`, whose three trainings a network say so little of their spread that even an
oracle's correlation with it is about 0.2.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import outcome
from numpy.typing import NDArray
from scipy.stats import spearmanr

from boshnas import Table
from boshnas.surrogates import default
from boshnas.surrogates.training import one_thread

Array = NDArray[np.float64]
NUM_REPEATS = 3


def exponential(X: Array) -> tuple[Array, Array]:
    """Noise that spans two orders of magnitude over two inputs."""
    return np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + X[:, 2] * X[:, 3], 0.1 * np.exp(1.5 * X[:, 0] - X[:, 4])


def step(X: Array) -> tuple[Array, Array]:
    """Noise that rises from one level to another."""
    mean = X[:, :6].sum(1) + np.cos(4 * X[:, 6])
    return mean, 0.05 + 0.6 / (1 + np.exp(-4 * (X[:, 1] + X[:, 2])))


def ridge(X: Array) -> tuple[Array, Array]:
    """Noise with a kink in one input and a jump in another, neither of which moves the mean."""
    mean = 5 * np.exp(-(X[:, :4] ** 2).sum(1)) + X[:, 5]
    return mean, 0.1 + 0.5 * np.abs(X[:, 7] - 0.2) + 0.3 * (X[:, 8] > 0)


FUNCTIONS: dict[str, tuple[Callable[[Array], tuple[Array, Array]], int]] = {
    "exponential": (exponential, 8),
    "step": (step, 12),
    "ridge": (ridge, 16),
}


def synthetic(name: str, num_rows: int, seed: int) -> tuple[float, float, float]:
    """Rank correlation of predicted and true noise; mean epistemic and aleatoric std, on 1,000 unseen rows."""
    function, num_inputs = FUNCTIONS[name]
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.uniform(-1, 1, (num_rows, num_inputs)), NUM_REPEATS, axis=0)
    mean, std = function(X)
    surrogate = default(random_state=seed).fit(X, mean + std * rng.normal(size=len(X)))
    new = rng.uniform(-1, 1, (1000, num_inputs))
    belief = surrogate.posterior(new)
    rank = float(spearmanr(belief.aleatoric_std, function(new)[1]).statistic)
    return rank, float(belief.epistemic_std.mean()), float(belief.aleatoric_std.mean())


def macro(folder: Path, num_rows: int, seed: int) -> float:
    """Rank correlation with the deviation of three trainings, on 2,000 unseen networks."""
    table = Table.read(
        folder / "nas_bench_macro_cifar10.csv",
        "test_acc_mean",
        features=[f"layer_{number}" for number in range(1, 9)],
    )
    rows = [table.row(id_) for id_ in table.pool.ids]
    trainings = np.array([[row[f"test_acc_seed{number}"] for number in range(3)] for row in rows], dtype=np.float64)
    order = np.random.default_rng(seed).permutation(len(rows))
    train, test = order[:num_rows], order[num_rows : num_rows + 2000]
    surrogate = default(random_state=seed).set_params(groups=table.pool.groups)
    surrogate.fit(np.repeat(table.pool.X[train], NUM_REPEATS, axis=0), trainings[train].ravel())
    predicted = surrogate.posterior(table.pool.X[test]).aleatoric_std
    return float(spearmanr(predicted, trainings[test].std(axis=1)).statistic)


@one_thread()
def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    body = """| noise | rows × repeats | Spearman with the true σ (0.8 is asked) | epistemic std | aleatoric std |
|---|---:|---:|---:|---:|
"""
    for name in FUNCTIONS:
        for num_rows in (50, 200, 800):
            few = seeds if num_rows == 200 else seeds[: max(1, arguments.seeds // 3)]
            found = np.array([synthetic(name, num_rows, seed) for seed in few])
            rank, epistemic, aleatoric = found.mean(0)
            body += (
                f"| {name} | {num_rows} × {NUM_REPEATS} | {rank:.3f} ± {found[:, 0].std():.3f} "
                f"| {epistemic:.3f} | {aleatoric:.3f} |\n"
            )
    if arguments.folder:
        ranks = np.array([macro(arguments.folder, 200, seed) for seed in seeds])
        body += f"\n`nas_bench_macro_cifar10`, 200 networks × 3 trainings: {ranks.mean():.3f} ± {ranks.std():.3f}.\n"
    setting = f"{arguments.seeds} seeds (a third of them at 50 and 800 rows), mean ± standard deviation."
    outcome.publish("Aleatoric deviation", ["torch", "scipy", "numpy"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
