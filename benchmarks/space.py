"""Spaces: exact sizes, uniform sampling, samples of a space too large to list, neighbours.

usage: python benchmarks/space.py [--out FILE.md]
"""

import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import outcome
from scipy.stats import chisquare

from design_space.constraint import Constraint
from design_space.embedding import Embedding
from design_space.encoding import encode
from design_space.neighbors import most_overlapping, nearest
from design_space.space import DesignSpace

# 16 layers; 16 + 16² = 272 architectures.
SMALL = """\
architecture:
  encoder_layers: [1, 2]
  hidden_size: [16, 32]
  num_heads: [2]
  operation_types: [sa, l]
  operation_parameters: {sa: [sdp, wma], l: [dft, dct]}
  feed-forward_hidden: [24, 40]
  number_of_feed-forward_stacks: [1]
levels:
  - {layers_per_stack: 1, free_feed_forward: false}
"""
ASKED = {
    ("flexibert_mini", 1): 9_312,
    ("flexibert_mini", 2): 84_943_872,
    ("flexibert_mini", 3): 3_317_817_600,
    ("flexibert_small", 1): 432_653_508,
    ("flexibert_small", 3): 21_964_384_040_055_167_554_704,
    ("nas_bench_bert", 2): 10_621_440,
    ("flexibert_2", 3): sum((21_805 * 4 * 258) ** depth for depth in range(2, 13, 2)),
}


def sizes() -> str:
    lines = ""
    for name in ("flexibert_mini", "flexibert_small", "nas_bench_bert", "flexibert_2"):
        start = time.perf_counter()
        space = DesignSpace.load(name)
        found = {level: space.size(level) for level in space.levels}
        seconds = time.perf_counter() - start
        for level, size in found.items():
            asked = ASKED.get((name, level))
            assert asked is None or size == asked, (name, level, size)
            wanted = "" if asked is None else _shown(asked)
            lines += f"| {name}, level {level} ({seconds:.2f} s for all) | {wanted} | {_shown(size)} |\n"
    return lines


def _shown(size: int) -> str:
    return f"{size:,}" if size < 10**24 else f"{size:.6e}"


def uniform(num_draws: int, rng: np.random.Generator) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.yaml"
        path.write_text(SMALL, "utf-8")
        space = DesignSpace.load(path)
    number = {architecture: index for index, architecture in enumerate(space.enumerate(1))}
    counts = Counter(number[space.sample(1, 1, rng)[0]] for _ in range(num_draws))
    value = chisquare([counts[index] for index in range(len(number))]).pvalue
    return f"| chi-squared test, {num_draws:,} draws of {len(number)} architectures: p | >= 0.01 | {value:.3f} |\n"


def implicit(num_samples: int, rng: np.random.Generator) -> str:
    space = DesignSpace.load("flexibert_2")
    start = time.perf_counter()
    architectures = space.sample(3, num_samples, rng)
    sampled = time.perf_counter()
    ids = {architecture.id for architecture in architectures}
    hashed = time.perf_counter()
    rows = encode(space, architectures)
    end = time.perf_counter()
    name = f"{len(ids):,} samples of flexibert_2, hashed and encoded to {rows.shape[1]} columns"
    parts = f"{sampled - start:.1f} + {hashed - sampled:.1f} + {end - hashed:.1f}"
    return f"| {name} | <= 10 s | {end - start:.1f} s ({parts}) |\n"


def limits(num_samples: int, rng: np.random.Generator) -> str:
    """Samples within budgets that next to nothing of a wide space keeps."""
    space, lines = DesignSpace.load("flexibert_small"), ""
    for text in ("params <= 9e6", "params <= 12e6", "params <= 30e6"):
        within = space.within([Constraint.parse(text)])
        start = time.perf_counter()
        found = within.sample(3, num_samples, rng)
        seconds = time.perf_counter() - start
        assert all(within.refusal(architecture, 3) is None for architecture in found)
        lines += f"| {len(found):,} samples of flexibert_small with {text} | | {seconds:.1f} s |\n"
    mini = DesignSpace.load("flexibert_mini").within([Constraint.parse("params <= 12e6")])
    start = time.perf_counter()
    size = mini.size(3)
    return (
        lines
        + f"| exact size of flexibert_mini with params <= 12e6 | | {size:,} in {time.perf_counter() - start:.1f} s |\n"
    )


def neighbours() -> str:
    space = DesignSpace.load("flexibert_mini")
    architectures = list(space.enumerate(1))
    points = Embedding.fit(space, architectures).place(architectures)
    start = time.perf_counter()
    nearest(points, points, 100)
    embedded = time.perf_counter()
    most_overlapping(architectures, architectures, 100)
    end = time.perf_counter()
    name = f"100 neighbours of each of {len(architectures):,}: in the embedding, by biased overlap"
    return f"| {name} | seconds | {embedded - start:.1f} s, {end - embedded:.1f} s |\n"


def main() -> None:
    arguments = outcome.parser(__doc__).parse_args()
    rng = np.random.default_rng(0)
    body = "\n| what | asked | measured |\n|---|---:|---:|\n"
    body += sizes() + uniform(100_000, rng) + implicit(10_000, rng) + limits(1_000, rng) + neighbours()
    outcome.publish(
        "Spaces", ["numpy", "scipy"], "Seed 0; asked sizes are compared digit by digit.", body, arguments.out
    )


if __name__ == "__main__":
    main()
