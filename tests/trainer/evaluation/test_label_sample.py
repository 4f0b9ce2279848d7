"""Samples of patches drawn by label, and what is measured on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from semedge_trainer.evaluation.label_sample import LabelSample
from semedge_trainer.evaluation.masks import MaskedFrame
from semedge_trainer.evaluation.metrics import measure
from semedge_trainer.evaluation.samples import frame_samples

SHAPE = (160, 224)
"""Of a frame: 9 x 13 patches of 32 px at stride 16."""
PATCHES_A_FRAME = 117


@pytest.fixture
def frames(tmp_path: Path) -> list[MaskedFrame]:
    """Three frames of 8 and one of 16 bits; the second has no defect, the others ever larger ones.

    The gray of a pixel is ten times the number of its frame, and is one more in the defect.
    """
    made = []
    for number, side_px in enumerate((40, 0, 64, 96), start=1):
        defect = np.zeros(SHAPE, bool)
        defect[:side_px, :side_px] = True
        image = (10 * number + defect).astype(np.uint16 if number == 4 else np.uint8)
        paths = tmp_path / f"{number}.png", tmp_path / f"{number}_mask.png"
        cv2.imwrite(str(paths[0]), image)
        cv2.imwrite(str(paths[1]), defect.astype(np.uint8) * 255)
        made.append(MaskedFrame(*paths))
    return made


def numbers(sample: LabelSample) -> list[int]:
    """Number of the frame that each part of the sample is from."""
    return [int(part.min()) // 10 for part in sample.patches]


def grays(sample: LabelSample) -> NDArray[np.float32]:
    """A score that knows the defect: the share of its pixels in a patch."""
    shares = [
        (part - 10.0 * number).mean(axis=(1, 2, 3))
        for part, number in zip(sample.patches, numbers(sample), strict=True)
    ]
    return np.concatenate(shares).astype(np.float32)


def test_a_third_of_the_sample_is_anomalous(frames: list[MaskedFrame]) -> None:
    sample = LabelSample.draw(frames, 32, 60, seed=0)
    anomalous = np.concatenate(sample.anomalous)
    assert (len(anomalous), anomalous.sum()) == (60, 20)
    assert numbers(sample) == [1, 2, 3, 4]
    assert {part.shape[1:] for part in sample.patches} == {(32, 32, 1)}
    assert [part.dtype for part in sample.patches] == [*[np.dtype("uint8")] * 3, np.dtype("uint16")]
    # More than 20 px of an anomalous patch are in the defect, and no more of a normal one.
    np.testing.assert_array_equal(grays(sample) * 32 * 32 > 20, anomalous)


def test_the_sample_is_seeded(frames: list[MaskedFrame]) -> None:
    first, again, other = (grays(LabelSample.draw(frames, 32, 60, seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_label_with_too_few_patches_has_all_of_them(frames: list[MaskedFrame]) -> None:
    whole = LabelSample.draw(frames, 32, 10_000, seed=0)
    anomalous = np.concatenate(whole.anomalous)
    assert len(anomalous) == 4 * PATCHES_A_FRAME
    assert whole.normal_weight == 1.0
    found = int(anomalous.sum())
    sample = LabelSample.draw(frames, 32, 4 * found, seed=0)
    assert np.concatenate(sample.anomalous).sum() == found
    drawn = 4 * found - round(4 * found / 3)
    assert sample.normal_weight == pytest.approx((4 * PATCHES_A_FRAME - found) / drawn)


def test_frames_without_a_defect_leave_the_metrics_undefined(frames: list[MaskedFrame]) -> None:
    sample = LabelSample.draw(frames[1:2], 32, 30, seed=0)
    assert len(sample.patches[0]) == 20
    measured = sample.measure(np.arange(20, dtype=np.float32), threshold=9.5)
    assert measured.auroc is measured.oracle is None
    assert measured.calibrated is not None
    assert measured.calibrated.false_alarm_share == 0.5


def test_the_metrics_of_samples_centre_on_those_of_all_patches(frames: list[MaskedFrame]) -> None:
    """A noisy score of each patch, which the sample and the whole have alike."""

    def noisy(sample: LabelSample) -> NDArray[np.float32]:
        return grays(sample) + np.float32(0.3) * np.random.default_rng(8).normal(
            size=len(grays(sample))
        ).astype(np.float32)

    whole = LabelSample.draw(frames, 32, 10_000, seed=0)
    scores = noisy(whole)
    truth = np.concatenate(whole.anomalous)
    expected = measure([frame_samples(scores, truth)], threshold=0.3)
    measured = [
        sample.measure(noisy(sample), threshold=0.3)
        for sample in (LabelSample.draw(frames, 32, 120, seed) for seed in range(40))
    ]
    assert expected.auroc is not None
    assert expected.calibrated is not None
    assert np.mean([each.auroc for each in measured if each.auroc is not None]) == pytest.approx(
        expected.auroc, abs=0.02
    )
    for name in ("precision", "recall", "f1"):
        values = [getattr(each.calibrated, name) for each in measured]
        assert np.mean(values) == pytest.approx(getattr(expected.calibrated, name), abs=0.04)
