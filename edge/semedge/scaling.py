"""Gray values to the range that the networks were trained on."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semedge.frame import GrayImage

Scaling = Literal["range", "patch"]

STANDARD_DEVIATIONS = 3.0


def scale_patches(patches: GrayImage, scaling: Scaling) -> NDArray[np.float32]:
    """Patches as float32 in [-1, 1], the range of the generator's tanh.

    `range` maps the pixel type's range, so that brightness is kept and 8- and 16-bit frames agree.
    `patch` standardizes each patch on its own, clipped at three standard deviations; brightness
    is lost. It is there for comparison with earlier work.
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
