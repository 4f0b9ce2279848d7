"""What the graphs of a bundle make of patches: every tensor that its scores are taken from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Node
from semedge.inference.nodes import run_node

Array = NDArray[np.float32]


def exported_tensors(
    nodes: Iterable[Node],
    graphs: Mapping[str, bytes],
    scales: Mapping[str, Array],
    patches: Array,
) -> dict[str, Array]:
    """Every tensor that the nodes give, by the TFLite graphs and their scales, as on the edge."""
    loaded = {name: Graph(content, name) for name, content in graphs.items()}

    def run(name: str, values: Array) -> Array:
        graph = loaded[name]
        return np.concatenate(
            [graph.run(values[at : at + graph.batch]) for at in range(0, len(values), graph.batch)]
        )

    return run_nodes(nodes, {**scales, "x": patches}, run)


def run_nodes(
    nodes: Iterable[Node], given: Mapping[str, Array], run: Callable[[str, Array], Array]
) -> dict[str, Array]:
    """The tensors that are given, and those that the nodes make of them; `run` runs a graph."""
    tensors = dict(given)
    for node in nodes:
        tensors[node.output] = run_node(node, tensors, run)
    return tensors
