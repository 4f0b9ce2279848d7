"""Normal frames as a line varies them: light, focus, compression, and where the material lies.

A detector that has seen only the frames of one hour mistakes the light of the next hour for a
defect. So each frame is learned as it is, and once more, varied at random within these limits;
what lies beyond them is a matter of the camera's health.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage


@dataclass(frozen=True)
class Limits:
    """How far normal frames vary.

    Attributes
    ----------
    light
        Share by which gray values are scaled, up or down.
    tint
        Share by which each channel of a colour image is scaled beside that, up or down.
    gamma
        Largest exponent of the gray values, and the reciprocal of the smallest one.
    blur_px
        Largest standard deviation of a Gaussian blur.
    jpeg_quality
        Lowest quality of compression.
    turn_degrees
        Largest turn to either side.
    shift_px
        Largest shift along either axis.
    """

    light: float = 0.2
    tint: float = 0.03
    gamma: float = 1.15
    blur_px: float = 1.0
    jpeg_quality: int = 70
    turn_degrees: float = 2.0
    shift_px: float = 8.0


LIMITS = Limits()


class Variation:
    """Other light, focus, compression and position, all at random.

    Parameters
    ----------
    random
        Chooses them.
    limits
        How far they go.
    """

    def __init__(self, random: np.random.Generator, limits: Limits = LIMITS) -> None:
        self._turn_degrees = random.choice((-1, 1)) * _extent(random) * limits.turn_degrees
        self._shift_px = random.uniform(-limits.shift_px, limits.shift_px, 2)
        self._gain = 1 + random.choice((-1, 1)) * _extent(random) * limits.light
        self._gamma = limits.gamma ** random.uniform(-1, 1)
        self._blur_px = _extent(random) * limits.blur_px
        self._quality = 100 - round(_extent(random) * (100 - limits.jpeg_quality))
        # By a generator of its own, so that all else is the same in gray and in colour.
        self._tint = 1 + random.spawn(1)[0].uniform(-limits.tint, limits.tint, 3)

    def of(self, picture: AnyImage) -> AnyImage:
        """The frame, gray or in colour, as it is varied."""
        gain = self._gain * (self._tint if picture.ndim == 3 else 1)
        changed = lit(moved(picture, self._turn_degrees, self._shift_px), gain, self._gamma)
        return compressed(blurred(changed, self._blur_px), self._quality)

    def of_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where the pixels of a mask come to lie."""
        values = mask.astype(np.uint8) * np.uint8(255)
        return moved(values, self._turn_degrees, self._shift_px) > 0


def _extent(random: np.random.Generator) -> float:
    """Share of a limit: the limit itself half of the time, since the extremes count most."""
    return 1.0 if random.random() < 0.5 else random.random()


def moved(picture: AnyImage, turn_degrees: float, shift_px: Any = 0) -> AnyImage:
    """The frame turned about its middle and shifted along both axes, extended by reflection."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn_degrees, 1)
    matrix[:, 2] += shift_px
    result: Any = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return result


def lit(picture: AnyImage, gain: Any, gamma: float = 1) -> AnyImage:
    """The frame under other light: each value g between 0 and 1 becomes gain * g**gamma.

    `gain` is a number, or one for each channel of a colour image.
    """
    if picture.ndim == 3:
        gains = np.broadcast_to(gain, picture.shape[2])
        channels = [lit(picture[..., at], each, gamma) for at, each in enumerate(gains)]
        together: Any = np.stack(channels, axis=-1)
        return np.asarray(together)
    largest = np.iinfo(picture.dtype).max
    shares = np.arange(largest + 1, dtype=np.float64) / largest
    table: Any = np.clip(np.round(gain * shares**gamma * largest), 0, largest).astype(picture.dtype)
    result: AnyImage = table[picture]
    return result


def blurred(picture: AnyImage, sigma_px: float) -> AnyImage:
    """The frame out of focus, blurred by a Gaussian; unchanged below 0.1 px."""
    if sigma_px < 0.1:
        return picture
    result: Any = cv2.GaussianBlur(picture, (0, 0), sigma_px)
    return result


def compressed(picture: AnyImage, quality: int) -> AnyImage:
    """The frame after JPEG compression; a frame of 16 bits, which JPEG lacks, is unchanged."""
    if picture.dtype != np.uint8:
        return picture
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    how = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
    decoded: Any = cv2.imdecode(content, how)
    return decoded
