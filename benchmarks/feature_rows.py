"""Which features a Gaussian process ranks measured encoders by best: choices, graph embedding, Weisfeiler-Lehman.

usage: python benchmarks/feature_rows.py NAS_TABLES [--splits 10] [--more-splits 40] [--out FILE.md]

NAS_TABLES holds `nas_bench_bert_glue.csv` (Serianni, Kalita 2023), `flexibert_small_sst2.csv` (Tuli et al. 2023). In
each split 100 rows train, the rest test; the figure is Spearman's correlation of predicted and measured scores, mean ±
standard deviation. Features are fitted without any score. The splits of seeds 0 … 9 are those asked for; further ones
tell apart what these leave tied.
"""

import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import outcome
from scipy.stats import spearmanr
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestRegressor

from boshnas.surrogates.gp import GPSurrogate
from design_space.architecture import Architecture
from design_space.distance import wl_features
from design_space.embedding import Embedding
from design_space.encoding import encode
from design_space.layer import Layer
from design_space.space import DesignSpace

NUM_TRAIN = 100
OPERATIONS = {"SA": "sa", "LT": "l", "DSC": "c"}
# The space of flexibert_small_sst2: every field never decreases from layer to layer.
MONOTONE = """\
architecture:
  encoder_layers: [2, 4]
  hidden_size: [128, 256]
  num_heads: [2, 4]
  operation_types: [sa]
  operation_parameters: {sa: [sdp, wma]}
  feed-forward_hidden: [512, 1024, 2048]
  number_of_feed-forward_stacks: [1]
  monotone: [operation, hidden_size, num_heads, feed_forward]
levels:
  - {layers_per_stack: 1, free_feed_forward: false}
"""


@dataclass(frozen=True)
class Measured:
    name: str
    space: DesignSpace
    architectures: list[Architecture]
    scores: np.ndarray
    one_hot: np.ndarray
    library: list[Architecture]  # what landmarks are drawn from


def nas_bench_bert(folder: Path) -> Measured:
    rows = list(csv.DictReader((folder / "nas_bench_bert_glue.csv").open(encoding="utf-8")))

    def layer(row: dict[str, str], number: int) -> Layer:
        operation = OPERATIONS[row[f"op_{number}"]]
        stack = (int(row[f"ff_dim_{number}"]),) * int(row[f"n_ff_{number}"])
        heads = int(row[f"heads_{number}"])
        return Layer(operation, row[f"op_param_{number}"].lower(), int(row["hidden_size"]), heads, stack)

    space = DesignSpace.load("nas_bench_bert")
    found = [_stack(row, layer) for row in rows]
    fields = ["hidden_size", "n_layers", *(f"{f}_{i}" for i in range(1, 5) for f in ("op", "op_param", "heads"))]
    fields += [f"{f}_{i}" for i in range(1, 5) for f in ("ff_dim", "n_ff")]
    library = found + space.sample(2, 1_000, np.random.default_rng(0))
    return Measured("nas_bench_bert_glue, `glue`", space, found, _scores(rows, "glue"), _one_hot(rows, fields), library)


def flexibert_sst2(folder: Path) -> Measured:
    rows = list(csv.DictReader((folder / "flexibert_small_sst2.csv").open(encoding="utf-8")))

    def layer(row: dict[str, str], number: int) -> Layer:
        hidden_size, heads = int(row[f"hidden_{number}"]), int(row[f"heads_{number}"])
        return Layer("sa", row[f"similarity_{number}"], hidden_size, heads, (int(row[f"ff_{number}"]),))

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "monotone.yaml"
        path.write_text(MONOTONE, "utf-8")
        space = DesignSpace.load(path)
    found = [_stack(row, layer) for row in rows]
    fields = ["n_layers", *(f"{f}_{i}" for i in range(1, 5) for f in ("hidden", "heads", "similarity", "ff"))]
    scores = _scores(rows, "sst2_dev_acc")
    return Measured("flexibert_small_sst2", space, found, scores, _one_hot(rows, fields), list(space.enumerate(1)))


def _stack(row: dict[str, str], layer: Callable[[dict[str, str], int], Layer]) -> Architecture:
    return Architecture(tuple(layer(row, number) for number in range(1, int(row["n_layers"]) + 1)))


def _scores(rows: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([float(row[column]) for row in rows])


def _one_hot(rows: list[dict[str, str]], fields: list[str]) -> np.ndarray:
    columns = [[row[field] == value for row in rows] for field in fields for value in sorted({r[field] for r in rows})]
    return np.array(columns, dtype=float).T


def features(table: Measured) -> dict[str, np.ndarray]:
    space, architectures = table.space, table.architectures
    level = space.levels[-1]
    assert all(space.refusal(architecture, level) is None for architecture in architectures)
    flat = encode(space, architectures)
    graph = Embedding.fit(space, table.library, seed=0).place(architectures)
    wl = TruncatedSVD(16, random_state=0).fit_transform(wl_features(architectures))
    return {
        "naive: flat choices (default)": flat,
        "graph embedding, 16 dimensions": graph,
        "WL, 3 iterations, 16 directions": wl,
        "WL, no iteration: label counts": wl_features(architectures, 0).toarray(),
        "graph + WL": np.hstack([graph, wl]),
        "graph + naive": np.hstack([graph, flat]),
        "WL + naive": np.hstack([wl, flat]),
        "joined: graph + WL + naive": np.hstack([graph, wl, flat]),
        "one-hot": table.one_hot,
    }


def correlations(X: np.ndarray, y: np.ndarray, model: Callable[[], object], seeds: range) -> np.ndarray:
    found = []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:NUM_TRAIN], order[NUM_TRAIN:]
        predicted = model().fit(X[train], y[train]).predict(X[test])
        found.append(spearmanr(predicted, y[test]).statistic)
    return np.array(found)


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--more-splits", type=int, default=40)
    arguments = parser.parse_args()
    body = ""
    for table in (nas_bench_bert(arguments.tables), flexibert_sst2(arguments.tables)):
        body += f"\n## {table.name}: {len(table.scores)} encoders\n\n"
        body += f"| features | columns | GP, {arguments.splits} splits | GP, {arguments.more_splits} more | forest |\n"
        body += "|---|---:|---:|---:|---:|\n"
        for name, X in features(table).items():
            asked = correlations(X, table.scores, GPSurrogate, range(arguments.splits))
            further = range(arguments.splits, arguments.splits + arguments.more_splits)
            more = correlations(X, table.scores, GPSurrogate, further)
            forest = correlations(
                X, table.scores, lambda: RandomForestRegressor(300, random_state=0), range(arguments.splits)
            )
            cells = " | ".join(f"{values.mean():.3f} ± {values.std():.3f}" for values in (asked, more, forest))
            body += f"| {name} | {X.shape[1]} | {cells} |\n"
    setting = f"Spearman, {NUM_TRAIN} rows to train. GP: `boshnas.surrogates.GPSurrogate`; forest: 300 trees."
    outcome.publish("Features", ["numpy", "scikit-learn", "torch"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
