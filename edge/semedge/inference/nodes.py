"""The steps of a bundle's computation: graphs that turn tensors into tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from semedge.inference.manifest import Node
from semedge.inference.scores.distances import Tensor


def nodes_needed(nodes: Iterable[Node], tensor_names: set[str]) -> list[Node]:
    """The nodes that the tensors depend on, in order."""
    wanted = set(tensor_names)
    chosen: list[Node] = []
    for node in reversed(list(nodes)):
        if node.output in wanted:
            chosen.append(node)
            wanted.update(node.inputs)
    return chosen[::-1]


def run_node(
    node: Node, tensors: Mapping[str, Tensor], run: Callable[[str, Tensor], Tensor]
) -> Tensor:
    """Output of a node.

    Parameters
    ----------
    node
        The node to compute.
    tensors
        Its inputs and its scales, by name.
    run
        Runs the graph with a name on values `(n, ...)`.
    """
    inputs = [tensors[name] for name in node.inputs]
    values = inputs[0] if len(inputs) == 1 else np.concatenate(inputs, axis=-1)
    if node.input_scale is not None:
        values = values / tensors[node.input_scale]
    output = run(node.graph, values)
    if node.output_scale is not None:
        output = output * tensors[node.output_scale]
    return output
