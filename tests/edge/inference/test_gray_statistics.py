"""Gray statistics see brightness, contrast and sharpness of each place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from learned import simulated

from semedge.inference.gray_statistics import STATISTICS, gray_statistics


def test_they_are_of_the_place_and_of_those_around_it() -> None:
    image = np.full((64, 96), 51, np.uint8)
    image[16:32, 32:48] = 255
    found = gray_statistics(image, 16)
    assert found.shape == (4, 6, STATISTICS)
    assert found[0, 0, 0] == pytest.approx(0.2)
    assert found[1, 2, 0] == pytest.approx(1)
    assert found[1, 2, 3] == pytest.approx((1 + 8 * 0.2) / 9)


def test_8_and_16_bits_give_the_same() -> None:
    image = simulated(1)[0]
    wide = image.astype(np.uint16) * 257
    np.testing.assert_allclose(gray_statistics(image, 16), gray_statistics(wide, 16), atol=1e-4)


def test_blur_lowers_sharpness_and_half_the_range_lowers_contrast() -> None:
    image = simulated(1)[0]
    as_it_is = gray_statistics(image, 16).mean(axis=(0, 1))
    blurred = gray_statistics(cv2.GaussianBlur(image, (0, 0), 2), 16).mean(axis=(0, 1))
    flat = gray_statistics(image // 2, 16).mean(axis=(0, 1))
    assert blurred[2] < as_it_is[2] - 0.5
    assert blurred[0] == pytest.approx(as_it_is[0], abs=0.01)
    assert flat[0] == pytest.approx(as_it_is[0] / 2, abs=0.01)
    assert flat[1] < as_it_is[1] - 0.4


@pytest.mark.parametrize("shape", [(33, 47), (48, 64), (100, 17)])
def test_cut_off_places_count(shape: tuple[int, int]) -> None:
    found = gray_statistics(np.zeros(shape, np.uint8), 16)
    assert found.shape == (-(-shape[0] // 16), -(-shape[1] // 16), STATISTICS)
    assert np.isfinite(found).all()
