"""Real whole-frame bundles of a few kilobytes, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from bundles import tiny_manifest
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.inference.bundle import array_content, write_bundle
from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Manifest
from semedge.inference.scaling import scale_patches

GRAPHS = Path(__file__).parent / "data"
TILE_SHAPE = (32, 48)
FRAME_SHAPE = (96, 144)
STRIDE_PX = 4
OVERLAP_PX = 4
CELL_PX = 8


@cache
def small_frames(count: int = 4) -> tuple[NDArray, ...]:
    """Normal frames of the tiny network's larger size."""
    line = SimulatedLine(seed=11, shape=FRAME_SHAPE, defect_rate=0.0)
    return tuple(line.frame(number).image for number in range(count))


@cache
def frame_members(graph: str) -> dict[str, bytes]:
    """Files of the bundle: the graph for tiles or for whole frames, and the features' Gaussian."""
    whole = Graph((GRAPHS / "tiny_frame.tflite").read_bytes(), "tiny_frame")
    features = np.concatenate(
        [
            whole.run(scale_patches(image[None, ..., None], "range")).reshape(-1, 5)
            for image in small_frames()
        ]
    ).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(features, rowvar=False))
    return {
        "features.tflite": (GRAPHS / f"{graph}.tflite").read_bytes(),
        "f6_mean.npy": array_content(features.mean(axis=0)),
        "f6_whitening.npy": array_content(vectors / np.sqrt(values)),
    }


def frame_manifest(graph: str, **changes: object) -> dict[str, Any]:
    """The manifest, with changes to its input."""
    height, width = TILE_SHAPE if graph == "tiny_tile" else FRAME_SHAPE
    return tiny_manifest(frame_members(graph)) | {
        "format_version": 2,
        "input": {
            "tile_height_px": height,
            "tile_width_px": width,
            "overlap_px": OVERLAP_PX,
            "feature_stride_px": STRIDE_PX,
            "cell_px": CELL_PX,
            **changes,
        },
        "stride_px": CELL_PX,
        "nodes": [{"output": "f6", "graph": "features", "inputs": ["x"]}],
        "score": {"name": "texture", "weights": {"texture_6": 1.0}},
        "scores": {},
        "parity": {},
    }


def frame_bundle(path: Path, graph: str = "tiny_tile", **changes: object) -> Path:
    """Write a bundle of whole frames to `path`, and return it."""
    manifest = Manifest.model_validate(frame_manifest(graph, **changes))
    write_bundle(path, manifest, frame_members(graph))
    return path
