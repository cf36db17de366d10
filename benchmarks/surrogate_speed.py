"""Seconds to fit a surrogate, to propose, and to score a large pool.

usage: python benchmarks/surrogate_speed.py [--repeats 5] [--out FILE.md]

A smooth function of 16 inputs with noise. Cold: the first fit of 100 rows and 10 proposals of 9,312 candidates; warm:
the same with one more result, as in the next round of a search. Growth: 1,000 rows; one million candidates.
"""

import time
from collections.abc import Callable

import numpy as np
import outcome
from numpy.typing import NDArray

from boshnas import Pool, Searcher
from boshnas.surrogates import default

NUM_FEATURES = 16


def objective(X: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Shape (n,)."""
    return 70 + 2 * np.sin(3 * X[:, 0]) + X[:, 1] - X[:, 2] * X[:, 3] + 0.1 * rng.normal(size=len(X))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rounds(seed: int) -> tuple[float, float]:
    """Seconds of the cold and the warm round."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (9312, NUM_FEATURES))
    values = objective(X, rng)
    searcher = Searcher(Pool([str(row) for row in range(len(X))], X), seed=seed, num_initial=0)
    searcher.tell({str(row): float(values[row]) for row in range(100)})
    cold = seconds(lambda: searcher.ask(10))
    searcher.tell({"100": float(values[100])})
    return cold, seconds(lambda: searcher.ask(10))


def growth(seed: int) -> tuple[float, float]:
    """Seconds to fit 1,000 rows, and to score a million candidates after 100."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (1000, NUM_FEATURES))
    y = objective(X, rng)
    many = seconds(lambda: default(random_state=seed).fit(X, y))
    surrogate = default(random_state=seed).fit(X[:100], y[:100])
    pool = rng.uniform(-1, 1, (1_000_000, NUM_FEATURES))
    return many, seconds(lambda: surrogate.posterior(pool))


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    rounds(0)  # imports and first calls
    cold, warm = np.array([rounds(seed) for seed in range(arguments.repeats)]).T
    many, scored = np.array([growth(seed) for seed in range(max(1, arguments.repeats // 2))]).T
    body = "| what | asked | median s | greatest s |\n|---|---:|---:|---:|\n"
    for what, asked, values in (
        ("fit 100 × 16, propose 10 of 9,312, cold", 0.8, cold),
        ("the same, warm", 0.3, warm),
        ("fit 1,000 × 16", 5.0, many),
        ("score 1,000,000 × 16", 5.0, scored),
    ):
        body += f"| {what} | {asked} | {np.median(values):.2f} | {values.max():.2f} |\n"
    setting = f"{arguments.repeats} repeats."
    outcome.publish("Speed of the surrogate", ["torch", "scipy", "numpy"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
