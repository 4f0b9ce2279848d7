"""SENCEBGAN's encoder and generator against AnoGAN's inversion of the same patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from measuring import SHORT, rounds, store, time_in_turn
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

if TYPE_CHECKING:
    from graphs import Workshop

Array = NDArray[np.float32]

BATCHES = (1, 64)
TIMED_STEPS = {1: 20, 64: 2 if SHORT else 4}
"""Steps that the longer of two timed inversions does more than the shorter, by batch."""

LEAST_SPEEDUP = 2_000
LEAST_SPEEDUP_WITHOUT_DOT_PRODUCTS = 800
"""Of one patch, and against batches of 64, where int8 is no faster than float32.

A fifth of what is measured on an idle machine: under load the short rounds of one patch suffer
more than the long inversions do.
"""


@pytest.fixture(scope="module")
def inversions(workshop: Workshop) -> dict[int, Any]:
    """AnoGAN's search by batch, of the networks of table A1 with random weights."""
    from semedge_trainer.detectors import make_detector
    from semedge_trainer.detectors.anogan import Inversion

    networks = make_detector("anogan", {}, "fast").build()
    return {batch: Inversion(networks, batch) for batch in BATCHES}


def _searches(inversions: dict[int, Any], patches: Array) -> dict[str, Callable[[], Any]]:
    """For each batch an inversion of one step and a longer one."""
    import tensorflow as tf

    def search(batch: int, steps: int) -> Callable[[], Any]:
        x = tf.constant(patches[:batch])
        return lambda: inversions[batch].score(x, steps=steps).numpy()

    return {
        f"{batch}/{steps}": search(batch, steps)
        for batch in inversions
        for steps in (1, 1 + TIMED_STEPS[batch])
    }


def _whole_search_s(medians_s: dict[str, float], batch: int) -> float:
    """Seconds of 500 steps on one batch, from the two timed inversions."""
    from semedge_trainer.detectors.anogan import INVERSION_STEPS

    more = TIMED_STEPS[batch]
    one_s, longer_s = medians_s[f"{batch}/1"], medians_s[f"{batch}/{1 + more}"]
    return one_s + (INVERSION_STEPS - 1) * (longer_s - one_s) / more


def _note(*batches: int) -> str:
    timed = " and ".join(f"{TIMED_STEPS[batch]} (batch {batch})" for batch in batches)
    return (
        f"The inversion was not run to its end: {timed} Adam steps were timed between our rounds "
        "and scaled to 500, and one batch was scaled to all patches of the frame. TensorFlow used "
        "all cores, with oneDNN on."
    )


def test_one_patch(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    inversions: dict[int, Any],
    patches: Array,
    dot_products: tuple[str, ...],
) -> None:
    ours = "encoder + generator, int8, one thread"
    chain = workshop.chain("encoder", "generator", batch=1)
    cases = {ours: chain.on(patches[:1]), **_searches({1: inversions[1]}, patches)}
    medians_s = time_in_turn(benchmark, cases, reference=ours, count=rounds(20))
    theirs = "AnoGAN, 500 steps, batch 1"
    ratios = store(
        benchmark,
        "One patch: encoder + generator against AnoGAN's inversion",
        {ours: medians_s[ours], theirs: _whole_search_s(medians_s, 1)},
        reference=ours,
        notes=(_note(1),),
    )
    assert ratios[theirs] > _least_speedup(dot_products)


def test_one_frame(
    benchmark: BenchmarkFixture,
    workshop: Workshop,
    inversions: dict[int, Any],
    patches: Array,
    dot_products: tuple[str, ...],
) -> None:
    ours = "encoder + generator, int8, two workers"
    chain = workshop.chain("encoder", "generator", workers=2)
    cases = {ours: chain.on(patches), **_searches(inversions, patches)}
    medians_s = time_in_turn(benchmark, cases, reference=ours, count=rounds(7, 2))
    theirs = {
        f"AnoGAN, 500 steps, batch {batch}": _whole_search_s(medians_s, batch)
        * len(patches)
        / batch
        for batch in BATCHES
    }
    ratios = store(
        benchmark,
        f"One frame of 1024x700 px ({len(patches)} patches): against AnoGAN's inversion",
        {ours: medians_s[ours], **theirs},
        reference=ours,
        notes=(_note(*BATCHES),),
    )
    one_by_one, in_batches = (ratios[label] for label in theirs)
    assert one_by_one > LEAST_SPEEDUP
    assert in_batches > _least_speedup(dot_products)


def _least_speedup(dot_products: tuple[str, ...]) -> int:
    return LEAST_SPEEDUP if dot_products else LEAST_SPEEDUP_WITHOUT_DOT_PRODUCTS
