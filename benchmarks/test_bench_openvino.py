"""OpenVINO on the same int8 graphs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from chains import LEAST_CORRELATION, openvino_chain
from measuring import compare, rounds
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

if TYPE_CHECKING:
    from graphs import Workshop

Array = NDArray[np.float32]

NAMES = ("encoder", "generator")
LARGEST_RATIO = 1.35
"""The goal is 1.15 on a quiet machine; this is what CI lets pass."""

LARGEST_RATIO_WITHOUT_DOT_PRODUCTS = 2.5
"""Where the processor has no int8 dot products, LiteRT loses about a factor of 2 to OpenVINO."""


@pytest.mark.parametrize("threads", [1, 2])
def test_against_openvino(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    patches: Array,
    graph_paths: list[Path],
    dot_products: tuple[str, ...],
    threads: int,
) -> None:
    plural = "thread" if threads == 1 else "threads"
    ours = workshop.chain(*NAMES, workers=threads)
    theirs = {
        f"OpenVINO, {threads} {plural}, {streams} at once": openvino_chain(
            graph_paths, threads=threads, streams=streams
        )
        for streams in range(1, threads + 1)
    }
    expected = ours.run(patches)
    for chain in theirs.values():
        assert np.corrcoef(expected.ravel(), chain.run(patches).ravel())[0, 1] > LEAST_CORRELATION
    label = f"semedge (LiteRT), {threads} {plural}"
    ratios = compare(
        benchmark,
        f"Encoder + generator, int8, one frame, {threads} {plural}: OpenVINO on the same graphs",
        {label: ours.on(patches), **{name: chain.on(patches) for name, chain in theirs.items()}},
        reference=label,
        count=rounds(25, 7),
        notes=("A ratio of 0.87 is the goal of 1.15: the fastest OpenVINO against semedge.",),
    )
    largest = LARGEST_RATIO if dot_products else LARGEST_RATIO_WITHOUT_DOT_PRODUCTS
    assert 1 / min(ratios[name] for name in theirs) < largest
