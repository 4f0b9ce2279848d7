"""Scaling of gray values to the range that the networks were trained on."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage

Scaling = Literal["range", "patch"]

FrameScaling = Literal["range", "local"]

STANDARD_DEVIATIONS = 3.0

LOCAL_SIGMA_PX = 32.0
LOCAL_STEP_PX = 8
"""Local means vary slowly enough to be computed on every 8th pixel of either side."""
LOCAL_STANDARD_DEVIATIONS = 4.0
LOCAL_GAIN = 0.235
"""Local standard deviation after scaling, near that of the pretrained network's training."""
LOCAL_FLOOR = 2 / 127.5
"""Added to a local standard deviation, two gray values of 8 bits, so that noise stays small."""


def scale_patches(patches: GrayImage, scaling: Scaling) -> NDArray[np.float32]:
    """Patches as float32 in [-1, 1], the range of the generator's tanh.

    `range` maps the pixel type's range, so that brightness is kept and 8- and 16-bit frames agree.
    `patch` standardizes each patch on its own, clipped at three standard deviations; brightness
    is lost. It is for comparison with earlier work.
    """
    values = patches.astype(np.float32)
    if scaling == "range":
        values *= np.float32(2.0 / np.iinfo(patches.dtype).max)
        values -= np.float32(1.0)
        return values
    axes = (1, 2, 3)
    values -= values.mean(axis=axes, keepdims=True)
    deviation = values.std(axis=axes, keepdims=True)
    values /= STANDARD_DEVIATIONS * np.maximum(deviation, np.float32(1e-6))
    return np.clip(values, -1.0, 1.0)


def scale_locally(image: GrayImage) -> NDArray[np.float32]:
    """A frame `(height, width)` as float32 with even light and even contrast, about 0.

    From each pixel the mean of its surroundings is subtracted, and the difference is divided by
    their standard deviation, both under a Gaussian of 32 px, and clipped at four standard
    deviations. This removes shading, exposure and gain.
    """
    height, width = image.shape
    below, right = (-side % LOCAL_STEP_PX for side in (height, width))
    whole: Any = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    values = scale_patches(whole, "range")
    # One buffer for every array of the size of the frame: new memory costs more than arithmetic.
    buffer = values * values
    mean = _coarse_mean(values)
    variance = np.maximum(_coarse_mean(buffer) - mean * mean, 0)
    gain = LOCAL_GAIN / (np.sqrt(variance) + np.float32(LOCAL_FLOOR))
    values *= _fine(gain, buffer)
    values -= _fine(mean * gain, buffer)
    limit = LOCAL_GAIN * LOCAL_STANDARD_DEVIATIONS
    return np.clip(values, -limit, limit, out=values)[:height, :width]


def _coarse_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of every pixel's surroundings, on every 8th row and column."""
    coarse: Any = cv2.resize(
        values, None, fx=1 / LOCAL_STEP_PX, fy=1 / LOCAL_STEP_PX, interpolation=cv2.INTER_AREA
    )
    sigma = LOCAL_SIGMA_PX / LOCAL_STEP_PX
    blurred: Any = cv2.GaussianBlur(coarse, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return blurred


def _fine(coarse: NDArray[np.float32], into: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values interpolated to every pixel, written into `into`."""
    height, width = into.shape
    fine: Any = cv2.resize(coarse, (width, height), dst=into, interpolation=cv2.INTER_LINEAR)
    return fine
