"""What a bundle records about the frames that it was learned from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.frame import AnyImage
from semedge.core.images import to_gray
from semedge.core.view import mask_for
from semedge.inference.bundle import frame_sha256
from semedge.inference.manifest import Intensity

LEAST_SIDE_PX = 32
EVERY_PX = 4
"""Rows and columns from one measured gray value to the next."""


@dataclass(frozen=True)
class FrameFacts:
    """What is recorded about one frame.

    Attributes
    ----------
    shape
        Height and width in pixels.
    sha256
        Digest of its pixels.
    grays
        Some of its gray values, as shares of the pixel type's range.
    in_colour
        Whether it has colours.
    """

    shape: tuple[int, int]
    sha256: str
    grays: NDArray[np.float64]
    in_colour: bool


def facts_of(picture: AnyImage, left_out: NDArray[np.bool_] | None = None) -> FrameFacts:
    """The facts of a frame; `SemedgeError` where it is too small to learn from.

    `left_out` is True where nothing is inspected of a frame of its shape.
    """
    frame = to_gray(picture)
    measured = frame[::EVERY_PX, ::EVERY_PX]
    if (mask := mask_for(frame.shape, left_out)) is not None:
        measured = measured[~mask[::EVERY_PX, ::EVERY_PX]]
    grays = measured.ravel() / np.float64(np.iinfo(frame.dtype).max)
    return FrameFacts(checked_shape(frame), frame_sha256(frame), grays, picture.ndim == 3)


def checked_shape(frame: AnyImage) -> tuple[int, int]:
    """Height and width of a frame; `SemedgeError` where it is too small to learn from."""
    height, width = frame.shape[:2]
    if min(height, width) < LEAST_SIDE_PX:
        raise SemedgeError(
            f"A normal frame must have at least {LEAST_SIDE_PX}x{LEAST_SIDE_PX} px. "
            f"Received: {width}x{height} px"
        )
    return height, width


def intensity_of(facts: Iterable[FrameFacts]) -> Intensity:
    """Mean, deviation and range of the gray values of frames."""
    values = np.concatenate([each.grays for each in facts])
    return Intensity(
        mean=float(values.mean()),
        standard_deviation=float(values.std()),
        percentile_1=float(np.quantile(values, 0.01)),
        percentile_99=float(np.quantile(values, 0.99)),
    )
