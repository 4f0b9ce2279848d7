"""A real bundle of a few kilobytes with a fully convolutional network, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bundles import TINY_GRAPH, tiny_manifest

from semedge.inference.bundle import array_content, write_bundle
from semedge.inference.manifest import Manifest

STRIDE_PX = 8
TILE_SHAPE = (48, 72)
MEMBERS = {
    "embedding.tflite": TINY_GRAPH.with_name("tiny_patch.tflite").read_bytes(),
    "tile.tflite": TINY_GRAPH.with_name("tiny_patch_tile.tflite").read_bytes(),
    "h_mean.npy": array_content(np.zeros(4)),
    "h_whitening.npy": array_content(np.eye(4)),
    "scale.npy": array_content(np.array([1.0, 2.0, 0.5, 3.0])),
}


def fully_convolutional_manifest(
    over_frame: dict[str, Any] | None, **changes: object
) -> dict[str, Any]:
    """The manifest with this as its node's `over_frame`, and with changes."""
    node = {"output": "h_x", "graph": "embedding", "inputs": ["x"], "output_scale": "scale"}
    return tiny_manifest(MEMBERS) | {
        "format_version": 1 if over_frame is None else 3,
        "stride_px": STRIDE_PX,
        "nodes": [node | {"over_frame": over_frame}],
        **changes,
    }


def tiles(height: int = TILE_SHAPE[0], width: int = TILE_SHAPE[1]) -> dict[str, Any]:
    """The graph for tiles, said to take tiles of this size."""
    return {"graph": "tile", "tile_height_px": height, "tile_width_px": width}


def fully_convolutional_bundle(path: Path) -> Path:
    """Write the bundle to `path`, and return it."""
    write_bundle(path, Manifest.model_validate(fully_convolutional_manifest(tiles())), MEMBERS)
    return path
