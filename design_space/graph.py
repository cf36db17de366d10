"""The labelled graph of an architecture: alone as networkx, or many of them as arrays."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from design_space.architecture import Architecture
from design_space.layer import AnyLayer, Head, MixedLayer
from design_space.space import DesignSpace


def to_graph(architecture: Architecture) -> "nx.DiGraph[int]":
    """Directed acyclic graph from `input` to `output`, each node with a `label`.

    Per layer: its heads in parallel into an `add_norm`, then its feed-forward chain into another; a residual edge goes
    around each of the two.

    Args:
        architecture: Any.

    Returns:
        Nodes 0 … n − 1 in topological order.

    Reference:
        Tuli, Dedhia, Tuli, Jha (2023), "FlexiBERT", JAIR 77, section 3.2.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()

    def add(label: str, *inputs: int) -> int:
        node: int = graph.number_of_nodes()
        graph.add_node(node, label=label)
        graph.add_edges_from((source, node) for source in inputs)
        return node

    current = add("input")
    for layer in architecture.layers:
        heads = [add(label, current) for label in head_labels(layer)]
        current = add("add_norm", *heads, current)
        chain = current
        for size in layer.feed_forward:
            chain = add(f"f{size}", chain)
        current = add("add_norm", chain, current)
    add("output", current)
    return graph


def head_labels(layer: AnyLayer) -> list[str]:
    """Labels of a layer's heads: `sa_h128_p-sdp`, or with a head's own width `sa_h128_w64_p-sdp`."""
    if isinstance(layer, MixedLayer):
        return [operation_label(head.operation, layer.hidden_size, head.parameter, head.width) for head in layer.heads]
    return [operation_label(layer.operation, layer.hidden_size, layer.parameter)] * layer.num_heads


def label_groups(space: DesignSpace) -> list[list[str]]:
    """Every label that a space's graphs can have, in the published order.

    Special nodes, feed-forwards, linear transforms, attention, convolutions; within a group by size, then by width of a
    head, then by parameter.
    """
    choices = space.content.architecture
    groups = [["input", "output", "add_norm"], [f"f{size}" for size in sorted(choices.feed_forward_hidden)]]
    for operation in ("l", "sa", "c"):
        parameters = map(str, choices.operation_parameters.get(operation, []))
        heads = sorted((Head(operation, parameter, 1) for parameter in parameters), key=lambda head: head.order)
        groups.append(
            [
                operation_label(operation, hidden_size, head.parameter, width)
                for hidden_size in sorted(choices.hidden_size)
                for width in (sorted({hidden_size // n for n in choices.num_heads}) if space.per_head else [None])
                for head in heads
            ]
        )
    return [group for group in groups if group]


def operation_label(operation: str, hidden_size: int, parameter: str | int, width: int | None = None) -> str:
    """Label of a head: operation, hidden size of the layer, width where heads differ, parameter."""
    own = "" if width is None else f"_w{width}"
    return f"{operation}_h{hidden_size}{own}_p-{parameter}"


@dataclass(frozen=True)
class GraphArrays:
    """The disjoint union of graphs: N nodes and E edges in all.

    Attributes:
        labels: Of each node, the first 63 bits of its label's SHA-256, shape (N,).
        graph_of: Number of the graph that a node belongs to, shape (N,).
        edges: Sources and targets, shape (2, E).
        num_graphs: How many.
    """

    labels: NDArray[np.int64]
    graph_of: NDArray[np.intp]
    edges: NDArray[np.intp]
    num_graphs: int


def graph_arrays(architectures: Sequence[Architecture]) -> GraphArrays:
    """The graphs of `to_graph`, nodes in the same order, put together from one template a distinct layer.

    Args:
        architectures: n architectures.

    Returns:
        Their disjoint union.
    """
    first, last = _Template(("input",), ()), _Template(("output",), ((-1, 0),))
    places: dict[AnyLayer | None, int] = {None: 0}
    parts: list[int] = []
    for architecture in architectures:
        parts.append(0)
        parts += [places.setdefault(layer, len(places)) for layer in architecture.layers]
        parts.append(-1)
    templates = [first, *(_template(layer) for layer in places if layer is not None), last]
    part = np.array(parts, dtype=np.intp) % len(templates)
    nodes = [np.array([_label_hash(label) for label in template.labels], dtype=np.int64) for template in templates]
    edges = [np.array(template.edges, dtype=np.intp).reshape(-1, 2) for template in templates]
    num_nodes = np.array([len(each) for each in nodes])[part]
    starts = np.cumsum(num_nodes) - num_nodes
    num_parts = [len(architecture.layers) + 2 for architecture in architectures]
    graph_of_part = np.repeat(np.arange(len(architectures)), num_parts)
    offsets = np.repeat(starts, np.array([len(each) for each in edges])[part])
    all_edges = np.concatenate([edges[index] for index in part]) if parts else np.empty((0, 2), dtype=np.intp)
    return GraphArrays(
        labels=np.concatenate([nodes[index] for index in part]) if parts else np.empty(0, dtype=np.int64),
        graph_of=np.repeat(graph_of_part, num_nodes),
        edges=(all_edges + offsets[:, None]).T,
        num_graphs=len(architectures),
    )


@dataclass(frozen=True)
class _Template:
    """Part of a graph; node −1 is the last one of the part before."""

    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]


def _template(layer: AnyLayer) -> _Template:
    heads = head_labels(layer)
    joined = len(heads)
    end = joined + len(layer.feed_forward) + 1
    chain = range(joined, end)
    edges = [(-1, head) for head in range(joined)] + [(head, joined) for head in range(joined)] + [(-1, joined)]
    edges += [(node, node + 1) for node in chain] + [(joined, end)]
    labels = (*heads, "add_norm", *(f"f{size}" for size in layer.feed_forward), "add_norm")
    return _Template(labels, tuple(edges))


def _label_hash(label: str) -> int:
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big") >> 1
