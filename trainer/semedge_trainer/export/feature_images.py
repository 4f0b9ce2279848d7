"""Pictures of many kinds, none of them of a real material, for the feature network's ranges."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.cameras.simulation import SimulatedLine

Array = NDArray[np.float32]

SIDE_PX = 256
SEED = 0
LINE_SEED = 5
FIBRES, NOISES, GRATINGS, BLOBS = 24, 24, 16, 8
"""How many pictures there are of each kind."""


def feature_images() -> Array:
    """Fibres, noise of many spectra, gratings and blobs, `(72, 256, 256, 1)` in [-1, 1]."""
    random = np.random.default_rng(SEED)
    line = SimulatedLine(LINE_SEED, shape=(SIDE_PX, SIDE_PX), defect_rate=0.5)
    images: list[Any] = [line.frame(number).image / 127.5 - 1 for number in range(FIBRES)]
    images += [_spots(random, number) for number in range(NOISES)]
    images += [_grating(random, number) for number in range(GRATINGS)]
    images += [_blobs(random) for _ in range(BLOBS)]
    return np.stack([np.clip(image, -1, 1) for image in images]).astype(np.float32)[..., None]


def _noise(random: np.random.Generator, exponent: float) -> NDArray[np.float64]:
    """Noise whose spectrum falls by a power of the frequency, of unit deviation."""
    spectrum = np.fft.rfft2(random.standard_normal((SIDE_PX, SIDE_PX)))
    frequency = np.hypot(np.fft.fftfreq(SIDE_PX)[:, None], np.fft.rfftfreq(SIDE_PX)[None])
    frequency[0, 0] = 1 / SIDE_PX
    values = np.fft.irfft2(spectrum * frequency**-exponent, s=(SIDE_PX, SIDE_PX))
    unit: NDArray[np.float64] = (values - values.mean()) / values.std()
    return unit


def _spots(random: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Noise, every third picture in two grays."""
    noise = _noise(random, random.uniform(0, 2))
    values = noise * random.uniform(0.05, 0.6) + random.uniform(-0.7, 0.7)
    if number % 3 == 0:
        level = random.uniform(-0.5, 0.5)
        bright, dark = random.uniform(0.2, 1), random.uniform(-1, -0.2)
        values = np.where(values > level, bright, dark) + 0.05 * _noise(random, 0)
    return values


def _grating(random: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Stripes, smooth or sharp, or a chessboard."""
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    period_px, angle = random.integers(4, 40), random.uniform(0, np.pi)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = columns * np.sin(angle) - rows * np.cos(angle)
    values = np.sin(2 * np.pi * along / period_px)
    if number % 2:
        values = np.sign(values)
    if number % 4 == 3:
        values = values * np.sign(np.sin(2 * np.pi * across / period_px))
    strength, level = random.uniform(0.2, 1), random.uniform(-0.3, 0.3)
    grating: NDArray[np.float64] = values * strength + level + 0.1 * _noise(random, 1)
    return grating


def _blobs(random: np.random.Generator) -> Any:
    """Discs and rings of many grays, more or less in focus."""
    image: Any = np.full((SIDE_PX, SIDE_PX), random.uniform(0, 255), np.float32)
    for _ in range(30):
        row, column = (int(value) for value in random.integers(0, SIDE_PX, 2))
        radius_px, gray = int(random.integers(3, 60)), float(random.uniform(0, 255))
        line_px = -1 if random.random() < 0.6 else int(random.integers(1, 4))
        cv2.circle(image, (row, column), radius_px, gray, line_px)
    return cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 3)) / 127.5 - 1
