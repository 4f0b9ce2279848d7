"""A real detector bundle of a few kilobytes, for tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.decision.calibrate import calibrate_detector
from semedge.decision.calibration_request import CalibrationRequest
from semedge.inference.bundle import array_content, frame_sha256, members_of, write_bundle
from semedge.inference.detector import Detector
from semedge.inference.grid import PatchGrid
from semedge.inference.interpreter import Graph
from semedge.inference.manifest import Manifest
from semedge.inference.scaling import scale_patches

TINY_GRAPH = Path(__file__).parent / "data" / "tiny.tflite"
PATCH_PX = 32
STRIDE_PX = 32
FRAME_SHAPE = (192, 256)
TRAINING_SEED = 1
TRAINING_FRAMES = 6
CALIBRATION_FRAMES = 29
"""Enough to prove a false-alarm rate of 10 % at 95 % confidence."""


@cache
def normal_frames() -> tuple[NDArray, ...]:
    """The simulated frames that the tiny detector knows as normal."""
    line = SimulatedLine(seed=TRAINING_SEED, shape=FRAME_SHAPE, defect_rate=0.0)
    return tuple(line.frame(number).image for number in range(TRAINING_FRAMES))


def embed(patches: NDArray) -> NDArray[np.float32]:
    """Embeddings `(n, 4)` by the tiny graph."""
    graph = Graph(TINY_GRAPH.read_bytes(), "embedding")
    scaled = scale_patches(patches, "range")
    parts = [scaled[at : at + graph.batch] for at in range(0, len(scaled), graph.batch)]
    return np.concatenate([graph.run(part) for part in parts])


def fitted_members(images: Sequence[NDArray]) -> dict[str, bytes]:
    """Files of a tiny bundle: the graph, and the Gaussian of these images' embeddings."""
    cut = [PatchGrid(each.shape, PATCH_PX, PATCH_PX // 2).cut(each) for each in images]
    h_x = embed(np.concatenate(cut)).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(h_x, rowvar=False))
    return {
        "embedding.tflite": TINY_GRAPH.read_bytes(),
        "h_mean.npy": array_content(h_x.mean(axis=0)),
        "h_whitening.npy": array_content(vectors / np.sqrt(values)),
    }


@cache
def tiny_members() -> dict[str, bytes]:
    """Files of the tiny bundle, fitted to `normal_frames`."""
    return fitted_members(normal_frames())


def tiny_manifest(
    members: Mapping[str, bytes], images: Sequence[NDArray] | None = None
) -> dict[str, Any]:
    """The manifest of members fitted to these images, or the tiny one's; a test may change it."""
    images = normal_frames() if images is None else images
    return {
        "format_version": 1,
        "detector": "tiny",
        "input": {"patch_px": PATCH_PX, "scaling": "range"},
        "stride_px": STRIDE_PX,
        "quantization": "float32",
        "nodes": [{"output": "h_x", "graph": "embedding", "inputs": ["x"]}],
        "score": {"name": "gaussian", "weights": {"embedding_gaussian": 1.0}},
        "scores": {"doubled": {"embedding_gaussian": 2.0}},
        "members": {name: member.model_dump() for name, member in members_of(members).items()},
        "training": {
            "detector": "tiny",
            "thesis_section": "none: a detector for tests",
            "schedule": "none",
            "seed": TRAINING_SEED,
            "steps": {"fit": 1},
            "learning_rates": {},
            "options": {},
            "frame_sha256": [frame_sha256(image) for image in images],
            "frames": len(images),
            "intensity": {
                "mean": 0.4,
                "standard_deviation": 0.1,
                "percentile_1": 0.1,
                "percentile_99": 0.9,
            },
            "packages": {},
            "created_at": "2026-11-23T00:00:00Z",
        },
        "parity": {
            "embedding_gaussian": {
                "patches": 64,
                "rank_correlation": 1.0,
                "auroc_keras": 0.9,
                "auroc_exported": 0.9,
            }
        },
    }


def tiny_bundle(path: Path) -> Path:
    """Write the tiny bundle to `path`, and return it."""
    members = tiny_members()
    write_bundle(path, Manifest.model_validate(tiny_manifest(members)), members)
    return path


def fitted_bundle(path: Path, images: Sequence[NDArray]) -> Path:
    """Write a bundle like the tiny one, but fitted to these images, and return its path."""
    members = fitted_members(images)
    write_bundle(path, Manifest.model_validate(tiny_manifest(members, images)), members)
    return path


def fresh_frames() -> Iterator[Frame]:
    """Normal frames that the detector was not fitted on."""
    line = SimulatedLine(seed=TRAINING_SEED + 1, shape=FRAME_SHAPE, defect_rate=0.0)
    for number in range(CALIBRATION_FRAMES):
        yield Frame(line.frame(number).image, number, float(number), f"normal {number}")


def tiny_calibration(path: Path, bundle_path: Path) -> Path:
    """Calibrate the tiny bundle on fresh normal frames, write it to `path`, and return that."""
    request = CalibrationRequest(false_alarm_rate=0.1, confidence=0.95)
    with Detector.load(bundle_path) as detector:
        calibration = calibrate_detector(detector, fresh_frames(), request)
    path.write_text(calibration.to_json())
    return path


def with_film(image: NDArray) -> NDArray:
    """The image with a bright film on it, which the tiny detector tells from fibres."""
    filmed = image.copy()
    filmed[60:124, 90:154] = np.iinfo(image.dtype).max
    return filmed
