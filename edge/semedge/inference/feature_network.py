"""The pretrained network that looks at a frame: one graph, and what it gives at four depths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.inference.interpreter import open_graph

Array = NDArray[np.float32]
Shape = tuple[int, int]

STRIDE_PX = 16
"""Distance between places; the features of every tap but the 5th block's lie as far apart."""
REACH_PX = 105
"""How far from a place's own 16x16 px a pixel can lie and still take part in its features."""
OUTPUTS: Mapping[str, int] = {"e4": 144, "f5": 40, "f6": 80, "f9": 112}
"""Channels of the graph's outputs, in order: the expansion in the 4th block of EfficientNet-Lite0,
averaged over each place, and the outputs of the 5th, 6th and 9th block."""
GROUPED = "f5"
"""Lies twice as close: the 2x2 features of a place are taken together."""


class FeatureNetwork:
    """The network for tiles of any size; it is prepared anew where the size changes.

    Parameters
    ----------
    content
        The graph, whose input may have any height and width that are multiples of 16.
    threads
        Threads of the graph.
    """

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        self._content = content
        self._threads = threads
        self._shape: Shape | None = None
        self._interpreter: Any = None
        self._input = 0
        self._outputs: dict[str, int] = {}

    def run(self, tile: Array) -> dict[str, Array]:
        """Outputs by name, each `(rows, columns, channels)`, for a tile `(1, height, width, 1)`."""
        shape = (tile.shape[1], tile.shape[2])
        if shape != self._shape:
            self._prepare(shape)
        self._interpreter.set_tensor(self._input, tile)
        self._interpreter.invoke()
        return {
            name: self._interpreter.get_tensor(index)[0] for name, index in self._outputs.items()
        }

    def _prepare(self, shape: Shape) -> None:
        self._interpreter = open_graph(
            self._content, "features", threads=self._threads, input_shape=(1, *shape, 1)
        )
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = self._interpreter.get_output_details()
        rows, columns = (side_px // STRIDE_PX for side_px in shape)
        found = [tuple(int(side) for side in output["shape"]) for output in outputs]
        expected = [
            (1, rows * finer, columns * finer, channels)
            for finer, channels in (
                (2 if name == GROUPED else 1, count) for name, count in OUTPUTS.items()
            )
        ]
        if found != expected:
            raise SemedgeError(
                "The bundle's graph is not the network of features that this version of semedge "
                f"knows: its outputs have the shapes {found}, not {expected}; learn the material "
                "again."
            )
        self._outputs = {
            name: output["index"] for name, output in zip(OUTPUTS, outputs, strict=True)
        }
        self._shape = shape


def averaged(finer: Array) -> Array:
    """The mean of the 2x2 features of each place, `(rows, columns, channels)`."""
    # Four times as fast as NumPy's mean of the two axes.
    rows = finer[0::2] + finer[1::2]
    places: Array = rows[:, 0::2] + rows[:, 1::2]
    places *= np.float32(0.25)
    return places
