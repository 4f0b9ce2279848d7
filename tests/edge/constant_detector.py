"""A real bundle that needs no graph, for tests of what is done with scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semedge.core.frame import GrayImage
from semedge.inference.bundle import array_content, frame_sha256, members_of, write_bundle
from semedge.inference.manifest import Intensity, Manifest, ScoreChoice, Training
from semedge.inference.network_input import PatchInput

PATCH_PX = 8
SIZE_PX = 16


def image_of(seed: int, size_px: int = SIZE_PX) -> GrayImage:
    return np.random.default_rng(seed).integers(0, 256, (size_px, size_px), dtype=np.uint8)


def write_detector(path: Path, training_images: list[GrayImage], reference: float = -1.0) -> Path:
    """A bundle without a graph: the score is a patch's distance from a constant."""
    patch = np.full((1, PATCH_PX, PATCH_PX, 1), reference, np.float32)
    contents = {"y.npy": array_content(patch)}
    manifest = Manifest(
        format_version=1,
        detector="constant",
        input=PatchInput(patch_px=PATCH_PX),
        stride_px=4,
        quantization="float32",
        nodes=(),
        score=ScoreChoice(name="im1", weights={"im1": 1.0}),
        scores={"im1": {"im1": 1.0}},
        members=members_of(contents),
        training=Training(
            detector="constant",
            thesis_section="none",
            schedule="none",
            seed=0,
            steps={},
            learning_rates={},
            options={},
            frame_sha256=tuple(frame_sha256(image) for image in training_images),
            frames=max(1, len(training_images)),
            intensity=Intensity(
                mean=0.5, standard_deviation=0.1, percentile_1=0.1, percentile_99=0.9
            ),
            packages={},
            created_at="2024-01-01T00:00:00+00:00",
        ),
        parity={},
    )
    write_bundle(path, manifest, contents)
    return path
