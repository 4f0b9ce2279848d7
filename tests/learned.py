"""Detectors that were learned from simulated frames, for tests."""

from __future__ import annotations

from functools import cache

import numpy as np

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import ColourImage, GrayImage
from semedge.inference.bundle import Bundle, parse_bundle
from semedge.learning.learn import Learned, learn
from semedge.learning.options import LearnOptions

SHAPE = (160, 192)
SEED = 11


@cache
def simulated(count: int, first: int = 0, shape: tuple[int, int] = SHAPE) -> tuple[GrayImage, ...]:
    """Normal frames of a simulated line."""
    line = SimulatedLine(SEED, shape=shape, defect_rate=0.0)
    return tuple(line.frame(number).image for number in range(first, first + count))


@cache
def learned(options: LearnOptions, count: int = 12) -> Learned:
    """A detector of simulated fibres."""
    return learn(simulated(count), options)


def bundle_of(result: Learned) -> Bundle:
    """Its bundle, as a file would give it."""
    return parse_bundle(result.bundle_content, "the learned detector")


def with_blot(image: GrayImage, gray: int = 250, side_px: int = 24) -> GrayImage:
    """The frame with a bright square in its middle."""
    changed = image.copy()
    height, width = image.shape
    top, left = (height - side_px) // 2, (width - side_px) // 2
    changed[top : top + side_px, left : left + side_px] = gray
    return np.asarray(changed)


def in_colour(image: GrayImage) -> ColourImage:
    """The frame in a tint that differs a little from place to place, as a colour camera sees it."""
    across = np.linspace(0.95, 1.05, image.shape[1], dtype=np.float32)
    values = image.astype(np.float32)
    channels = [0.8 * values, 0.95 * values * across[None], values]
    picture: ColourImage = np.clip(np.dstack(channels), 0, 255).astype(np.uint8)
    return picture


def with_stain(picture: ColourImage, side_px: int = 24) -> ColourImage:
    """The frame with a square in its middle whose colour alone differs: as bright, and bluer."""
    changed = picture.astype(np.float32)
    height, width = picture.shape[:2]
    top, left = (height - side_px) // 2, (width - side_px) // 2
    square = changed[top : top + side_px, left : left + side_px]
    gray = square @ np.array([0.114, 0.587, 0.299], np.float32)
    # What blue gains in brightness, red loses.
    square[..., 0] += 0.5 * gray
    square[..., 2] -= 0.5 * gray * 0.114 / 0.299
    stained: ColourImage = np.clip(np.round(changed), 0, 255).astype(np.uint8)
    return stained
