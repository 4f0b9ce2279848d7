"""Forms of the graphs: quantization, rewrite, batch, workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from measuring import SHORT, compare, rounds
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

if TYPE_CHECKING:
    from graphs import Workshop

Array = NDArray[np.float32]

LEAST_GAIN_INT8 = 1.5
LEAST_GAIN_WITHOUT_DOT_PRODUCTS = 0.8
"""Where the processor multiplies int8 no faster than float32, int8 must only not be a loss."""

LARGEST_LOSS_REWRITTEN = 1.3
BATCHES = (1, 32) if SHORT else (1, 8, 32, 64)


@pytest.mark.parametrize("name", ["encoder", "generator"])
def test_int8_against_float32(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    patches: Array,
    dot_products: tuple[str, ...],
    name: str,
) -> None:
    values = workshop.latents if name == "generator" else patches
    ratios = compare(
        benchmark,
        f"{name.capitalize()}: int8 against float32, one frame, one thread",
        {
            "int8": workshop.chain(name).on(values),
            "float32": workshop.chain(name, quantization="float32").on(values),
        },
        reference="int8",
        count=rounds(15),
    )
    if name == "encoder":
        least = LEAST_GAIN_INT8 if dot_products else LEAST_GAIN_WITHOUT_DOT_PRODUCTS
        assert ratios["float32"] > least


def test_rewritten_generator(benchmark: BenchmarkFixture, workshop: Workshop) -> None:
    rewritten = "rewritten, int8"
    original = "transposed convolution, int8"
    cases = {
        rewritten: workshop.chain("generator").on(workshop.latents),
        original: workshop.chain("generator", rewrite=False).on(workshop.latents),
    }
    if not SHORT:
        cases["rewritten, float32"] = workshop.chain("generator", quantization="float32").on(
            workshop.latents
        )
        cases["transposed convolution, float32"] = workshop.chain(
            "generator", quantization="float32", rewrite=False
        ).on(workshop.latents)
    ratios = compare(
        benchmark,
        "Generator: rewritten against original, one frame, batch 32, one thread",
        cases,
        reference=rewritten,
        count=rounds(15, 5),
        notes=("The export writes the rewritten form.",),
    )
    assert 1 / ratios[original] < LARGEST_LOSS_REWRITTEN


def test_batches(benchmark: BenchmarkFixture, workshop: Workshop, patches: Array) -> None:
    compare(
        benchmark,
        "Encoder + generator, int8, one frame, one thread: patches a batch",
        {
            f"batch {batch}": workshop.chain("encoder", "generator", batch=batch).on(patches)
            for batch in BATCHES
        },
        reference="batch 32",
        count=rounds(15),
    )


def test_workers(benchmark: BenchmarkFixture, workshop: Workshop, patches: Array) -> None:
    compare(
        benchmark,
        "Encoder + generator, int8, one frame, batch 32: worker threads",
        {
            f"{count} {'worker' if count == 1 else 'workers'}": workshop.chain(
                "encoder", "generator", workers=count
            ).on(patches)
            for count in (1, 2)
        },
        reference="1 worker",
        count=rounds(25),
        notes=("How much two workers gain depends on what else the machine does.",),
    )
