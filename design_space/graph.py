"""The labelled graph of an architecture."""

import networkx as nx

from design_space.architecture import Architecture, Layer


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
        heads = [add(operation_label(layer), current) for _ in range(layer.num_heads)]
        current = add("add_norm", *heads, current)
        chain = current
        for size in layer.feed_forward:
            chain = add(f"f{size}", chain)
        current = add("add_norm", chain, current)
    add("output", current)
    return graph


def operation_label(layer: Layer) -> str:
    """Label of one head, such as `sa_h128_p-sdp`."""
    return f"{layer.operation}_h{layer.hidden_size}_p-{layer.parameter}"
