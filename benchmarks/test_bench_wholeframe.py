"""texture-gaussian, from the frame to its score map, and OpenVINO on the same graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from chains import LEAST_CORRELATION, litert_chain, openvino_chain
from measuring import medians_of, paces, rounds, store, time_in_turn, times_in_turn
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from semedge.core.frame import Frame
from semedge.inference.bundle import Bundle
from semedge.inference.detector import Detector

Array = NDArray[np.float32]

MOST_OF_ONE = 1.3
"""Of two workers' time to that of one; how much is gained depends on what else the machine does."""
LARGEST_RATIO = 2.5
"""Of our network's time to OpenVINO's; the goal is 1."""


def test_a_frame(benchmark: BenchmarkFixture, texture_bundle: Bundle, frame: Frame) -> None:
    labels = {1: "Detector.score, 1 worker", 2: "Detector.score, 2 workers"}
    with Detector(texture_bundle, workers=1) as one, Detector(texture_bundle, workers=2) as two:
        cases = {
            labels[1]: lambda: one.score(frame).to_pixels(),
            labels[2]: lambda: two.score(frame).to_pixels(),
        }
        times_s = times_in_turn(benchmark, cases, reference=labels[1], count=rounds(300, 9))
    ratios = store(
        benchmark,
        "Whole frame of 1024x700 px, texture-gaussian, int8",
        medians_of(times_s),
        reference=labels[1],
        figures=paces(times_s),
    )
    assert ratios[labels[2]] < MOST_OF_ONE


def test_against_openvino(
    benchmark: BenchmarkFixture, texture_paths: list[Path], tile: Array
) -> None:
    label, other = "semedge (LiteRT), 2 threads", "OpenVINO, 2 threads"
    ours = litert_chain([path.read_bytes() for path in texture_paths], threads=2)
    theirs = openvino_chain(texture_paths, threads=2)
    assert np.corrcoef(ours.run(tile).ravel(), theirs.run(tile).ravel())[0, 1] > LEAST_CORRELATION
    medians_s = time_in_turn(
        benchmark,
        {label: ours.on(tile), other: theirs.on(tile)},
        reference=label,
        count=rounds(100, 9),
    )
    ratios = store(
        benchmark,
        "The network of texture-gaussian, int8, one tile: OpenVINO on the same graphs",
        medians_s,
        reference=label,
        notes=("A ratio of 1 or more is the goal: OpenVINO against semedge.",),
    )
    assert 1 / ratios[other] < LARGEST_RATIO
