"""What second-order steps are worth where candidates are too many to score, and in Optuna's continuous spaces.

usage: python benchmarks/gobi.py [--seeds 5] [--candidates 150000] [--proposals 20] [--out FILE.md]

Pool: random candidates of 16 inputs in [0, 1] and three smooth functions of them; 60 random rows are measured, then the
search proposes one at a time. Regret is in units of the distance between the pool's best and its median. Optuna: Branin
and Hartmann-6, 10 random points of 40.
"""

import time
from collections.abc import Callable

import numpy as np
import optuna
import outcome
import torch
from numpy.typing import NDArray

from boshnas import Pool, Searcher
from boshnas.policy import Policy
from boshnas.sampler import BoshnasSampler

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

NUM_FEATURES = 16
NUM_RANDOM = 60
NUM_TRIALS = 40

POLICIES = {
    "all scored": Policy(exhaustive_up_to=10**9),
    "GOBI, first order": Policy(exhaustive_up_to=0),
    "GOBI, second order": Policy(exhaustive_up_to=0, second_order=True),
}


def functions(rng: np.random.Generator) -> dict[str, Function]:
    """Three of 16 inputs, to maximise: rows (n, 16) to values (n,)."""
    weight, center = rng.exponential(1, NUM_FEATURES), rng.uniform(0.2, 0.8, NUM_FEATURES)
    direction = rng.normal(size=(4, NUM_FEATURES))
    return {
        "bowl and waves": lambda X: -(weight * (X - center) ** 2).sum(1) + 0.5 * np.sin(6 * X[:, 0] * X[:, 1]),
        "ridges": lambda X: np.cos(2 * X @ direction.T).sum(1),
        "Rosenbrock": lambda X: -(100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2).sum(1),
    }


def pool_run(function_name: str, policy: Policy, seed: int, num_candidates: int, num_proposals: int) -> Array:
    """Regret at the end and seconds a proposal."""
    rng = np.random.default_rng(seed)
    function = functions(rng)[function_name]
    X = rng.uniform(0, 1, (num_candidates, NUM_FEATURES))
    values = function(X)
    searcher = Searcher(Pool([str(row) for row in range(num_candidates)], X), seed=seed, num_initial=0, policy=policy)
    seen = list(range(NUM_RANDOM))
    searcher.tell({str(row): float(values[row]) for row in seen})
    start = time.perf_counter()
    for _ in range(num_proposals):
        (id_,) = searcher.ask(1)
        seen.append(int(id_))
        searcher.tell({id_: float(values[seen[-1]])})
    seconds = (time.perf_counter() - start) / num_proposals
    return np.array([(values.max() - values[seen].max()) / (values.max() - np.median(values)), seconds])


def branin(trial: optuna.Trial) -> float:
    """Least value 0.397887."""
    x, y = trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15)
    bend = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return float(bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def hartmann6(trial: optuna.Trial) -> float:
    """Least value -3.32237 (Surjanovic and Bingham's library of test functions)."""
    x = np.array([trial.suggest_float(f"x{i}", 0, 1) for i in range(6)])
    scale = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8]])
    scale = np.vstack([scale, [17, 8, 0.05, 10, 0.1, 14]])
    centers = np.array([[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991]])
    centers = np.vstack([centers, [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]) / 1e4
    return float(-np.array([1, 1.2, 3, 3.2]) @ np.exp(-(scale * (x - centers) ** 2).sum(1)))


CONTINUOUS = {"Branin": (branin, 0.397887), "Hartmann-6": (hartmann6, -3.32237)}


def optuna_run(function_name: str, policy: Policy, seed: int) -> Array:
    """Regret at the end and seconds a trial."""
    function, least = CONTINUOUS[function_name]
    study = optuna.create_study(sampler=BoshnasSampler(seed=seed, policy=policy))
    start = time.perf_counter()
    study.optimize(function, n_trials=NUM_TRIALS)
    return np.array([study.best_value - least, (time.perf_counter() - start) / NUM_TRIALS])


def row(problem: str, name: str, runs: list[Array]) -> str:
    """One line of the table."""
    regret, seconds = np.array(runs).T
    error = regret.std(ddof=1) / np.sqrt(len(regret))
    return f"| {problem} | {name} | {regret.mean():.4f} ± {error:.4f} | {np.median(seconds):.2f} |\n"


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=150_000)
    parser.add_argument("--proposals", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(arguments.seeds)
    body = "| problem | search | regret | seconds a proposal |\n|---|---|---:|---:|\n"
    for problem in functions(np.random.default_rng(0)):
        for name, policy in POLICIES.items():
            sizes = arguments.candidates, arguments.proposals
            body += row(problem, name, [pool_run(problem, policy, seed, *sizes) for seed in seeds])
    for problem in CONTINUOUS:
        for name in ("first order", "second order"):
            policy = POLICIES[f"GOBI, {name}"]
            body += row(problem, name, [optuna_run(problem, policy, seed) for seed in seeds])
    setting = (
        f"{arguments.candidates:,} candidates of {NUM_FEATURES} inputs, {NUM_RANDOM} measured, then "
        f"{arguments.proposals} proposals; Optuna: {NUM_TRIALS} trials; {arguments.seeds} seeds; mean regret ± its "
        "standard error, median seconds, one thread."
    )
    outcome.publish("Steps of first and of second order", ["torch", "optuna"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
