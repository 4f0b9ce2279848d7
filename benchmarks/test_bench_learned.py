"""What `semedge learn` fits: a frame, and its cost by the frame's area and by the bank's size."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from measuring import medians_of, paces, rounds, store, time_in_turn, times_in_turn
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import Frame
from semedge.inference.bundle import Bundle, parse_bundle
from semedge.inference.detector import Detector
from semedge.inference.feature_extractor import FeatureExtractor
from semedge.inference.feature_manifest import FEATURES, FeatureScore
from semedge.inference.feature_maps import Bank
from semedge.inference.feature_network import FeatureNetwork
from semedge.inference.feature_scorer import model_of
from semedge.inference.network_input import FeatureInput
from semedge.learning.learn import learn
from semedge.learning.options import LearnOptions, Speed

Outputs = Mapping[str, NDArray[np.float32]]

SHAPES_PX = ((350, 512), (700, 1024), (1400, 2048), (3072, 4096))
ITEMS = (250, 500, 1000, 2000, 4000)
FIT_FRAMES = 12
MOST_OF_ONE = 1.3
"""Of two workers' time to that of one; how much is gained depends on what else the machine does."""
MOST_BY_AREA = 2.0
"""Of a large frame's time for each pixel to that of a frame of 1024x700 px."""


def learned(speed: Speed) -> Bundle:
    line = SimulatedLine(3, (700, 1024), defect_rate=0.0)
    frames = [line.frame(number).image for number in range(FIT_FRAMES)]
    options = LearnOptions(speed=speed, position="off", even_light="on")
    return parse_bundle(learn(frames, options).bundle_content, "the learned detector")


@pytest.fixture(scope="module")
def learned_bundle() -> Bundle:
    return learned("balanced")


def test_a_frame(
    benchmark: BenchmarkFixture, learned_bundle: Bundle, texture_bundle: Bundle, frame: Frame
) -> None:
    bundles = {
        "1 worker": (learned_bundle, 1),
        "2 workers": (learned_bundle, 2),
        "2 workers, --speed fast": (learned("fast"), 2),
        "2 workers, --speed fine": (learned("fine"), 2),
        "2 workers, texture-gaussian": (texture_bundle, 2),
    }
    with ExitStack() as stack:
        detectors = {
            label: stack.enter_context(Detector(bundle, workers=workers))
            for label, (bundle, workers) in bundles.items()
        }
        cases = {label: partial(each.score, frame) for label, each in detectors.items()}
        times_s = times_in_turn(benchmark, cases, reference="2 workers", count=rounds(100, 5))
    ratios = store(
        benchmark,
        "Whole frame of 1024x700 px, the detector of `semedge learn`, int8",
        medians_of(times_s),
        reference="2 workers",
        figures=paces(times_s),
    )
    assert 1 / ratios["1 worker"] < MOST_OF_ONE


def test_by_area(benchmark: BenchmarkFixture, learned_bundle: Bundle) -> None:
    labels = {(height, width): f"{width}x{height} px" for height, width in SHAPES_PX}
    with ExitStack() as stack:
        cases = {}
        for shape, label in labels.items():
            # Each has its own, since the network is prepared anew where the size changes.
            detector = stack.enter_context(Detector(learned_bundle, workers=2))
            image = SimulatedLine(1, shape).frame(0).image
            cases[label] = partial(detector.score, Frame(image, 0, 0.0, "a simulated frame"))
        reference = labels[700, 1024]
        medians_s = time_in_turn(benchmark, cases, reference=reference, count=rounds(15))
    by_pixel_s = {shape: medians_s[label] / np.prod(shape) for shape, label in labels.items()}
    store(
        benchmark,
        "The detector of `semedge learn`, int8, 2 workers: the frame's area",
        medians_s,
        reference=reference,
        figures={
            f"ms a megapixel, {labels[shape]}": f"{1e9 * each:.0f}"
            for shape, each in by_pixel_s.items()
        },
    )
    assert by_pixel_s[SHAPES_PX[-1]] < MOST_BY_AREA * by_pixel_s[700, 1024]


def test_by_size_of_the_bank(
    benchmark: BenchmarkFixture, learned_bundle: Bundle, frame: Frame
) -> None:
    bank, outputs = _bank_and_outputs(learned_bundle, frame)
    places = bank.project(outputs).reshape(-1, bank.items.shape[1])
    random = np.random.default_rng(1)
    cases = {}
    for count in ITEMS:
        other = replace(bank, items=places[random.choice(len(places), count)])
        cases[f"{count:,} items"] = partial(other.distances, outputs)
    ratios = store(
        benchmark,
        "The bank of `semedge learn` for a frame of 1024x700 px, one thread: its size",
        time_in_turn(benchmark, cases, reference="1,000 items", count=rounds(100, 5)),
        reference="1,000 items",
        notes=(f"The detector has {len(bank.items):,} items.",),
    )
    assert ratios["250 items"] < ratios["4,000 items"]


def _bank_and_outputs(bundle: Bundle, frame: Frame) -> tuple[Bank, Outputs]:
    """The bank, and the network's outputs for the frame."""
    shown, score = bundle.manifest.input, bundle.manifest.score
    assert isinstance(shown, FeatureInput)
    assert isinstance(score, FeatureScore)
    (bank,) = (model_of(each, bundle.arrays()) for each in score.maps if each.name == "bank")
    assert isinstance(bank, Bank)
    extractor = FeatureExtractor(
        FeatureNetwork(bundle.graph(FEATURES)), shown, gray=False, colour=False
    )
    with ThreadPoolExecutor(1) as pool:
        (tile,) = extractor.tiles(extractor.prepare(frame.image, pool))
    return bank, tile.outputs
