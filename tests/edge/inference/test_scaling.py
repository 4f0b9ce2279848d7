"""Gray values to the range of the networks: even light whatever the exposure."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from semedge.cameras.simulation import SimulatedLine
from semedge.inference.scaling import LOCAL_GAIN, LOCAL_STANDARD_DEVIATIONS, scale_locally


def fibres(shape: tuple[int, int] = (192, 256)) -> np.ndarray:
    return SimulatedLine(seed=3, shape=shape, defect_rate=0.0).frame(0).image


def test_each_pixel_is_scaled_by_what_surrounds_it() -> None:
    """Against a Gaussian of 32 px on the full frame, which the coarse one stands for."""
    image = fibres()
    values = image / 127.5 - 1

    def blurred(of: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(of, (0, 0), 32, borderType=cv2.BORDER_REFLECT_101)

    mean = blurred(values)
    deviation = np.sqrt(blurred(values**2) - mean**2)
    expected = LOCAL_GAIN * np.clip((values - mean) / (deviation + 2 / 127.5), -4, 4)
    np.testing.assert_allclose(scale_locally(image), expected, atol=0.05)


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (0.6, 20_000), (1.0, 9_000)])
def test_exposure_does_not_matter(gain: float, offset: int) -> None:
    image = fibres().astype(np.uint16) * 180
    changed = (image * gain + offset).astype(np.uint16)
    np.testing.assert_allclose(scale_locally(changed), scale_locally(image), atol=0.03)


def test_8_and_16_bits_agree() -> None:
    image = fibres()
    wide = image.astype(np.uint16) * 257
    np.testing.assert_allclose(scale_locally(wide), scale_locally(image), atol=1e-4)


def test_a_frame_of_one_gray_becomes_zero() -> None:
    np.testing.assert_allclose(scale_locally(np.full((40, 50), 90, np.uint8)), 0, atol=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (9, 7)])
def test_small_frames_stay_within_the_limit(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    scaled = scale_locally(image)
    assert scaled.shape == shape
    assert scaled.dtype == np.float32
    assert np.abs(scaled).max() <= LOCAL_GAIN * LOCAL_STANDARD_DEVIATIONS + 1e-6
