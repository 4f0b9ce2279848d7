"""Detectors that were learned from simulated frames, for tests."""

from __future__ import annotations

from functools import cache

import numpy as np

from semedge.cameras.simulation import SimulatedLine
from semedge.core.frame import GrayImage
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
