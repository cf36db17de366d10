"""The graph edit distance: the whole matrix of level 1, and how tight it is beside networkx.

usage: python benchmarks/graph_distance.py [--pairs 1000] [--exact-pairs 200] [--out FILE.md]

Compared on random pairs of level 1 with the first value of networkx' `optimize_graph_edit_distance`, and on pairs of
graphs of at most two layers, two heads a layer and one feed-forward with networkx' exact distance, the lower one of
both directions: where depths differ it finds a cheaper path in one of them for some pairs.
"""

import resource
import time
from collections.abc import Mapping

import networkx as nx
import numpy as np
import outcome

from design_space.architecture import Architecture
from design_space.distance import EditCosts, Graphs, edit_distances, lower_bounds
from design_space.distance.matrix import triangle_violations
from design_space.graph import to_graph
from design_space.space import DesignSpace

TOLERANCE = 1e-4


def networkx_costs(costs: EditCosts) -> dict[str, object]:
    place = costs.positions

    def node(attributes: Mapping[str, str]) -> float:
        return place[attributes["label"]]

    return {
        "node_subst_cost": lambda a, b: abs(node(a) - node(b)),
        "node_del_cost": node,
        "node_ins_cost": node,
        "edge_subst_cost": lambda a, b: 0.0,
        "edge_del_cost": lambda a: costs.edge,
        "edge_ins_cost": lambda a: costs.edge,
    }


def exact_distance(one: Architecture, other: Architecture, costs: EditCosts) -> float:
    """networkx' exact search; its value depends on the direction in a few pairs, so callers take the lower one."""
    return float(nx.graph_edit_distance(to_graph(one), to_graph(other), **networkx_costs(costs)))


def first_values(pairs: list[tuple[Architecture, Architecture]], costs: EditCosts) -> tuple[np.ndarray, float]:
    """networkx' first approximation of each pair, and seconds a pair."""
    start = time.perf_counter()
    options = networkx_costs(costs)
    values = [next(nx.optimize_graph_edit_distance(to_graph(a), to_graph(b), **options)) for a, b in pairs]
    return np.array(values), (time.perf_counter() - start) / len(pairs)


def small_pairs(space: DesignSpace, count: int, rng: np.random.Generator) -> list[tuple[Architecture, Architecture]]:
    """Pairs with one or two layers each: a third of them of unequal depth."""
    layers = [layer for layer in space.layers(1) if layer.num_heads == 2 and len(layer.feed_forward) == 1]

    def draw(depth: int) -> Architecture:
        return Architecture(tuple(layers[rng.integers(len(layers))] for _ in range(depth)))

    depths = [(1, 1), (2, 2), (1, 2)]
    return [tuple(draw(depth) for depth in depths[number % 3]) for number in range(count)]


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--exact-pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    space = DesignSpace.load("flexibert_mini")
    costs = EditCosts.of(space)
    architectures = list(space.enumerate(1))
    start = time.perf_counter()
    matrix = edit_distances(Graphs(architectures, costs))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    num_pairs = len(architectures) * (len(architectures) - 1) // 2
    violations, excess = triangle_violations(matrix, 1_000_000, rng)
    zeros = int((matrix[np.triu_indices(len(matrix), 1)] <= TOLERANCE).sum())
    asymmetric = int((matrix != matrix.T).sum())

    rows, columns = rng.integers(len(architectures), size=(2, arguments.pairs))
    columns = np.where(rows == columns, (columns + 1) % len(architectures), columns)
    pairs = [(architectures[i], architectures[j]) for i, j in zip(rows, columns, strict=True)]
    ours = matrix[rows, columns]
    lower = np.diag(lower_bounds(*(Graphs(side, costs) for side in zip(*pairs, strict=True))))
    theirs, seconds_a_pair = first_values(pairs, costs)

    small = small_pairs(space, arguments.exact_pairs, rng)
    exact = np.array([min(exact_distance(a, b, costs), exact_distance(b, a, costs)) for a, b in small])
    bound = np.array([edit_distances(Graphs([a], costs), Graphs([b], costs))[0, 0] for a, b in small])
    equal = np.abs(bound - exact) < TOLERANCE
    same_depth = np.array([len(a.layers) == len(b.layers) for a, b in small])
    setting = f"`flexibert_mini`, level 1, {len(architectures):,} graphs; seed {arguments.seed}."
    body = f"""
| what | asked | measured |
|---|---:|---:|
| all {num_pairs:,} pairs | <= 60 s | {seconds:.1f} s |
| peak memory of the process, the matrix included | <= 3 GB | {peak / 1e9:.2f} GB |
| mean over {arguments.pairs} random pairs, beside networkx' first value | <= {theirs.mean():.2f} | {ours.mean():.2f} |
| lower than networkx' first value | >= half | {(ours < theirs - TOLERANCE).mean():.1%} |
| higher than networkx' first value | | {(ours > theirs + TOLERANCE).mean():.1%} |
| seconds a pair of networkx' first value, beside ours | | {seconds_a_pair:.1e}, {seconds / num_pairs:.1e} |
| mean of the lower bound, on the same pairs | | {lower.mean():.2f} |
| equal to the exact distance, {len(small)} small pairs | >= 90 % | {equal.mean():.1%} |
| of these pairs of equal depth ({same_depth.sum()}) | | {equal[same_depth].mean():.1%} |
| greatest excess over the exact distance | | {(bound - exact).max():.1f} |
| below the exact distance | 0 | {(bound < exact - TOLERANCE).sum()} |
| unequal graphs at distance 0; cells unlike their mirror image | 0; 0 | {zeros}; {asymmetric} |
| triangle violations in 1,000,000 random triples; the greatest | | {violations:,}; {excess:.2f} |
"""
    outcome.publish("Graph edit distance", ["networkx", "numpy", "scipy"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
