"""The embedding of level 1: how long it takes, how well it keeps the order of distances, how fast one more is placed.

usage: python benchmarks/embedding.py [--pairs 100000] [--new 300] [--out FILE.md]

The reference of all correlations is the full graph edit distance, layers reordered where that is cheaper. New
architectures come from levels 2 and 3; their stress is that against the landmarks, as the in-sample one is.
"""

import statistics
import time

import numpy as np
import outcome
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from design_space.distance import EditCosts, Graphs, edit_distances
from design_space.embedding import Embedding, stress
from design_space.space import DesignSpace


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--new", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    space = DesignSpace.load("flexibert_mini")
    costs = EditCosts.of(space)
    architectures = list(space.enumerate(1))

    start = time.perf_counter()
    embedding = Embedding.fit(space, architectures, seed=arguments.seed)
    fit_s = time.perf_counter() - start
    points = embedding.place(architectures)
    seconds = time.perf_counter() - start

    matrix = edit_distances(Graphs(architectures, costs))
    rows, columns = rng.integers(len(architectures), size=(2, 2 * arguments.pairs))
    distinct = np.flatnonzero(rows != columns)[: arguments.pairs]
    rows, columns = rows[distinct], columns[distinct]
    embedded = np.linalg.norm(points[rows] - points[columns], axis=1)
    targets = matrix[rows, columns]

    landmarks = Graphs(embedding.landmarks, costs)
    correlation = spearmanr(targets, embedded).statistic
    body = f"""
| what | asked | measured |
|---|---:|---:|
| all {len(architectures):,} points, the fit included | <= 90 s; <= 10 s at the start of a search | {seconds:.1f} s |
| of this the fit to {len(embedding.landmarks)} landmarks | | {fit_s:.2f} s |
| Spearman with the graph edit distance, {arguments.pairs:,} random pairs | >= 0.95 | {correlation:.4f} |
| stress of these pairs | | {stress(targets.astype(float), embedded):.4f} |
| in-sample stress (landmarks) | | {embedding.stress:.4f} |
"""
    for level in space.levels:
        new = space.sample(level, arguments.new, rng)
        times = []
        placed = np.empty((len(new), points.shape[1]))
        for index, architecture in enumerate(new):
            start = time.perf_counter()
            placed[index] = embedding.place([architecture])[0]
            times.append(time.perf_counter() - start)
        true = edit_distances(Graphs(new, costs), landmarks).astype(float)
        value = stress(true, cdist(placed, embedding.points))
        name = f"one of level {level} placed: median (90th percentile) of {len(new)}"
        median, high = 1e3 * statistics.median(times), 1e3 * np.quantile(times, 0.9)
        body += f"| {name} | <= 5 ms | {median:.1f} ({high:.1f}) ms |\n"
        ratio = value / embedding.stress
        body += f"| their stress, and its ratio to the in-sample one | <= 1.2 | {value:.4f}, {ratio:.2f} |\n"
    setting = f"`flexibert_mini`, level 1, 16 dimensions; seed {arguments.seed}."
    outcome.publish("Embedding", ["numpy", "scipy"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
