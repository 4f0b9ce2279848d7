"""Metrics against scikit-learn and by hand, and their bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import (
    auc,
    average_precision_score,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from semedge_trainer.evaluation.metrics import measure
from semedge_trainer.evaluation.protocols import PixelProtocol
from semedge_trainer.evaluation.samples import FrameSamples, frame_samples

TOUCHING = np.ones((3, 3), int)
"""Pixels that touch at a corner belong together."""


def scored_frames(seed: int, frames: int = 8, shift: float = 1.0) -> list[FrameSamples]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(frames):
        anomalous = random.random(500) < 0.1
        scores = random.normal(size=500) + shift * anomalous
        found.append(frame_samples(scores.astype(np.float32), anomalous))
    return found


def scored_pixels(scores: NDArray, mask: NDArray) -> FrameSamples:
    return frame_samples(scores, mask, PixelProtocol(16).regions(mask))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
        lambda items: len({anomalous for _, anomalous in items}) == 2
    ),
    st.integers(-1, 7),
)
@settings(max_examples=60, deadline=None)
def test_metrics_agree_with_scikit_learn_ties_included(
    items: list[tuple[int, bool]], threshold: int
) -> None:
    scores = np.array([score for score, _ in items], np.float32)
    truth = np.array([anomalous for _, anomalous in items])
    half = len(items) // 2
    parts = [frame_samples(scores[part], truth[part]) for part in (slice(half), slice(half, None))]
    measured = measure(parts, threshold=float(threshold))

    assert measured.auroc == pytest.approx(roc_auc_score(truth, scores))
    assert measured.average_precision == pytest.approx(average_precision_score(truth, scores))
    precision, recall, _ = precision_recall_curve(truth, scores)
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert measured.oracle is not None
    assert measured.oracle.f1 == pytest.approx(best)
    for point in (measured.oracle, measured.calibrated):
        assert point is not None
        flagged = scores > point.threshold
        assert point.recall == pytest.approx(recall_score(truth, flagged))
        assert point.f1 == pytest.approx(f1_score(truth, flagged))
        assert point.false_alarm_share == pytest.approx(flagged[~truth].mean())
        if flagged.any():
            assert point.precision == pytest.approx(precision_score(truth, flagged))
        else:
            assert point.precision is None


def test_the_interval_is_seeded_and_contains_the_estimate() -> None:
    frames = scored_frames(seed=1)
    first, again, other = (measure(frames, seed=seed) for seed in (0, 0, 1))
    assert first.auroc is not None
    assert first.auroc_interval is not None
    low, high = first.auroc_interval
    assert low < first.auroc < high
    assert high - low < 0.2
    assert again.auroc_interval == first.auroc_interval != other.auroc_interval


def test_binned_resamples_give_the_auroc_of_all_frames_alike() -> None:
    """Equal frames: each resample has the AUROC of the whole, up to the bins."""
    frames = scored_frames(seed=2, frames=1) * 5
    measured = measure(frames)
    assert measured.oracle is not None
    assert measured.auroc_interval == pytest.approx((measured.auroc, measured.auroc), abs=1e-4)
    precision = measured.average_precision
    assert measured.average_precision_interval == pytest.approx((precision, precision), abs=1e-3)
    best = measured.oracle.f1
    assert measured.oracle_f1_interval == pytest.approx((best, best), abs=1e-3)


@pytest.mark.parametrize("repeats", [1, 2, 7])
def test_a_weight_of_normal_samples_is_to_have_them_as_often(repeats: int) -> None:
    frames = scored_frames(seed=5, frames=4)
    repeated = [FrameSamples(frame.anomalous, np.repeat(frame.normal, repeats)) for frame in frames]
    weighted = measure(frames, threshold=1.0, normal_weight=float(repeats))
    expected = measure(repeated, threshold=1.0)
    assert weighted.oracle == expected.oracle
    assert weighted.calibrated == expected.calibrated
    for name in ("auroc", "average_precision"):
        assert getattr(weighted, name) == pytest.approx(getattr(expected, name))
        interval, other = (getattr(each, f"{name}_interval") for each in (weighted, expected))
        assert interval == pytest.approx(other, abs=6e-3)
    assert weighted.oracle_f1_interval == pytest.approx(expected.oracle_f1_interval, abs=6e-3)


def test_a_single_frame_has_no_interval() -> None:
    assert measure(scored_frames(seed=3, frames=1)).auroc_interval is None


def test_nothing_anomalous_leaves_metrics_undefined() -> None:
    normal = frame_samples(np.arange(10, dtype=np.float32), np.zeros(10, bool))
    measured = measure([normal, normal], threshold=7.0)
    assert (measured.count, measured.anomalous) == (20, 0)
    assert measured.auroc is measured.auroc_interval is measured.average_precision is None
    assert measured.oracle is None
    assert measured.calibrated is not None
    assert measured.calibrated.recall is measured.calibrated.f1 is None
    assert measured.calibrated.precision is None
    assert measured.calibrated.false_alarm_share == pytest.approx(0.2)


@given(
    st_numpy.arrays(np.int8, (2, 8, 9), elements=st.integers(0, 5)),
    st_numpy.arrays(bool, (2, 8, 9), elements=st.booleans()),
)
@settings(max_examples=60, deadline=None)
def test_region_overlap_is_a_roc_curve_of_pixels_weighted_by_their_region(
    levels: NDArray, masks: NDArray
) -> None:
    scores = levels.astype(np.float32)
    measured = measure([scored_pixels(*pair) for pair in zip(scores, masks, strict=True)])
    if not masks.any() or masks.all():
        assert measured.aupro is None
        return
    weights = np.ones(masks.shape)
    for mask, weight in zip(masks, weights, strict=True):
        numbers, count = ndimage.label(mask, TOUCHING)
        for region in range(1, count + 1):
            weight[numbers == region] = 1 / (numbers == region).sum()
    false, overlap, _ = roc_curve(
        masks.ravel(), scores.ravel(), sample_weight=weights.ravel(), drop_intermediate=False
    )
    kept = false < 0.3
    x, y = np.append(false[kept], 0.3), np.append(overlap[kept], np.interp(0.3, false, overlap))
    at_limit = overlap[false == 0.3]
    if len(at_limit):
        x, y = np.append(x[:-1], [0.3] * len(at_limit)), np.append(y[:-1], at_limit)
    assert measured.aupro == pytest.approx(auc(x, y) / 0.3, abs=1e-6)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    """Of two regions the large one is scored below everything, the small one above."""
    mask = np.zeros((20, 20), bool)
    scores = np.random.default_rng(0).random((20, 20), np.float32)
    mask[:10, :10] = True
    scores[:10, :10] = -1
    mask[15, 15] = True
    scores[15, 15] = 2
    measured = measure([scored_pixels(scores, mask)])
    assert measured.aupro == pytest.approx(0.5)
    assert measured.auroc == pytest.approx(1 / 101)


def test_patches_have_no_regions() -> None:
    measured = measure(scored_frames(seed=1))
    assert measured.aupro is measured.aupro_interval is None


def test_every_interval_contains_its_estimate() -> None:
    random = np.random.default_rng(4)
    frames = []
    for _ in range(12):
        mask = ndimage.binary_dilation(random.random((40, 40)) < 0.005, iterations=3)
        frames.append(
            scored_pixels((random.random((40, 40)) + 0.4 * mask).astype(np.float32), mask)
        )
    measured = measure(frames)
    assert measured.oracle is not None
    for interval, value in (
        (measured.auroc_interval, measured.auroc),
        (measured.average_precision_interval, measured.average_precision),
        (measured.aupro_interval, measured.aupro),
        (measured.oracle_f1_interval, measured.oracle.f1),
    ):
        assert interval is not None
        assert interval[0] < value < interval[1]
        assert interval[1] - interval[0] < 0.2
