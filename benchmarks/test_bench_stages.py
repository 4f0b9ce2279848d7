"""What each stage of scoring a frame costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from measuring import compare, rounds
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from semedge.core.frame import Frame
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge.inference.scores import weighted_score

if TYPE_CHECKING:
    from graphs import Workshop

WEIGHTS = {"im1": 1.0, "final_3": 1.0}


def test_stages(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    frame: Frame,
    grid: PatchGrid,
    patches: NDArray[np.float32],
) -> None:
    encoder, generator, embedding = (
        workshop.chain(name) for name in ("encoder", "generator", "embedding")
    )
    cut = grid.cut(frame.image)
    latents = encoder.run(patches)
    reconstructed = generator.run(latents)
    tensors = {
        "x": patches,
        "y": reconstructed,
        "h_x": embedding.run(patches),
        "h_y": embedding.run(reconstructed),
    }
    patch_scores = weighted_score(WEIGHTS, tensors)
    ratios = compare(
        benchmark,
        "Stages of one frame, int8, one worker",
        {
            "cut": lambda: grid.cut(frame.image),
            "scale": lambda: scale_patches(cut, "range"),
            "encode": encoder.on(patches),
            "generate": generator.on(latents),
            "embed": embedding.on(patches),
            "score (im1 + final_3)": lambda: weighted_score(WEIGHTS, tensors),
            "stitch": lambda: grid.to_pixels(patch_scores),
        },
        reference="encode",
        count=rounds(25),
        notes=("Ratios are to `encode`. A score that needs E_R encodes twice.",),
    )
    outside_the_networks = ("cut", "scale", "score (im1 + final_3)", "stitch")
    assert sum(ratios[label] for label in outside_the_networks) < 0.5
