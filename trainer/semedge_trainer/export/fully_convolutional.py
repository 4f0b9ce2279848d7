"""A patch graph as one for tiles of the frame, with the same weights and the same rounding.

Only the shapes of the flatbuffer change, and the stride of the last convolution, which becomes the
distance of the patches: what an int8 graph computes of a patch is the same to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.lite.python.schema_py_generated import BuiltinOperator, Padding

from semedge.inference.manifest import Node, TileNetwork
from semedge.inference.network_input import PatchInput
from semedge.inference.tiling import choose_tile
from semedge_trainer.quantization.flatbuffer import Flatbuffer

LARGEST_TILE_PX = 2**17
"""Larger tiles share hardly more, and their activations leave a processor's cache."""

LARGEST_SIDE_PX = 2048
"""Largest side of a frame that tiles are chosen for; a larger frame takes more tiles."""
SAME_FOR_EVERY_PLACE = {
    BuiltinOperator.CONV_2D,
    BuiltinOperator.LEAKY_RELU,
    BuiltinOperator.QUANTIZE,
    BuiltinOperator.DEQUANTIZE,
}

Shape = tuple[int, ...]


def fully_convolutional_nodes(
    nodes: tuple[Node, ...],
    graphs: Mapping[str, bytes],
    patch_input: PatchInput,
    stride_px: int,
    frame_shape: tuple[int, int],
) -> tuple[tuple[Node, ...], dict[str, bytes]]:
    """The nodes, and by name the fully convolutional graphs that some of them now have for tiles.

    A node can where patches overlap, where they are scaled all in the same way, and where its
    network has no padding and fits the stride (`tile_graph`).

    Parameters
    ----------
    nodes, graphs
        Nodes and graphs of the export.
    patch_input
        What the networks expect.
    stride_px
        Distance between patches.
    frame_shape
        Height and width of the largest frame, for which tiles are chosen.
    """
    patch_px = patch_input.patch_px
    if stride_px >= patch_px or patch_input.scaling != "range":
        return nodes, {}
    overlap_px = (patch_px - stride_px) // 2
    covered = (min(frame_shape[0], LARGEST_SIDE_PX), min(frame_shape[1], LARGEST_SIDE_PX))
    height, width = choose_tile(covered, overlap_px, stride_px, LARGEST_TILE_PX)
    tile_shape = (max(height, patch_px), max(width, patch_px))
    found, added = [], {}
    for node in nodes:
        takes_patches = node.inputs == ("x",)
        graph = tile_graph(graphs[node.graph], tile_shape, stride_px) if takes_patches else None
        if graph is None:
            found.append(node)
            continue
        name = f"{node.graph}_over_frame"
        added[name] = graph
        over_frame = TileNetwork(
            graph=name, tile_height_px=tile_shape[0], tile_width_px=tile_shape[1]
        )
        found.append(node.model_copy(update={"over_frame": over_frame}))
    return tuple(found), added


def tile_graph(content: bytes, tile_shape: tuple[int, int], stride_px: int) -> bytes | None:
    """The graph that gives what a patch graph makes of each patch of a tile, row by row.

    None where there is none: a layer looks beyond the patch, more than one place is left where the
    dense layer begins, or the strides of the convolutions before the last do not divide the
    distance of the patches.

    Parameters
    ----------
    content
        The patch graph.
    tile_shape
        Height and width of a tile in pixels.
    stride_px
        Distance between patches in pixels.
    """
    graph = _PatchGraph.read(content)
    convolutions = graph.convolutions()
    if not convolutions or not graph.moves_with_the_patch():
        return None
    *before, last = (operator.builtinOptions for operator in convolutions)
    step_px = math.prod(options.strideH for options in before)
    if stride_px % step_px:
        return None
    last.strideH = last.strideW = stride_px // step_px
    graph.set_shapes((1, *tile_shape, 1))
    return graph.content()


@dataclass(frozen=True)
class _PatchGraph(Flatbuffer):
    """A chain of operators."""

    def convolutions(self) -> list[Any]:
        return [each for each in self._chain() if self.kind(each) == BuiltinOperator.CONV_2D]

    def moves_with_the_patch(self) -> bool:
        """Whether it is convolutions without padding down to one place, and a dense layer."""
        chain = self._chain()
        kinds = [self.kind(operator) for operator in chain]
        return (
            kinds[-1] == BuiltinOperator.FULLY_CONNECTED
            and set(kinds[:-1]) <= SAME_FOR_EVERY_PLACE
            and self._shape(chain[-1].inputs[0])[1:3] == (1, 1)
            and all(each.builtinOptions.padding == Padding.VALID for each in self.convolutions())
        )

    def set_shapes(self, shape: Shape) -> None:
        """Give the input a shape, and what the operators give the shapes that follow from it."""
        tensors = self.graph.tensors
        tensors[self.graph.inputs[0]].shape = np.array(shape, np.int32)
        for operator in self._chain():
            shape = self._shape_behind(operator, shape)
            tensors[operator.outputs[0]].shape = np.array(shape, np.int32)

    def _shape_behind(self, operator: Any, shape: Shape) -> Shape:
        match self.kind(operator):
            case BuiltinOperator.CONV_2D:
                outputs, height, width, _ = self._shape(operator.inputs[1])
                options = operator.builtinOptions
                rows = (shape[1] - height) // options.strideH + 1
                columns = (shape[2] - width) // options.strideW + 1
                return shape[0], rows, columns, outputs
            case BuiltinOperator.FULLY_CONNECTED:
                return math.prod(shape[:3]), self._shape(operator.inputs[1])[0]
        return shape

    def _chain(self) -> list[Any]:
        """The operators, but those that unpack weights."""
        computed = {int(self.graph.inputs[0])}
        chain = []
        for operator in self.graph.operators:
            if int(operator.inputs[0]) in computed:
                computed.add(int(operator.outputs[0]))
                chain.append(operator)
        return chain

    def _shape(self, tensor: int) -> Shape:
        return tuple(int(side) for side in self.graph.tensors[tensor].shape)
