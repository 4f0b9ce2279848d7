"""Frames with masks that the evaluation's tests measure on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from bundles import FRAME_SHAPE, normal_frames, with_film
from commandcall import Result

Evaluate = Callable[..., Result]

MASK = (slice(60, 124), slice(90, 154))
"""Where `with_film` puts its film."""


@dataclass(frozen=True)
class Folders:
    images: Path
    masks: Path

    @property
    def given(self) -> tuple[object, ...]:
        """The options of `evaluate` for them."""
        return ("--images", self.images, "--masks", self.masks)


def make_folders(folder: Path) -> Folders:
    """Three frames with a film on them and one normal frame."""
    made = Folders(folder / "images", folder / "masks")
    made.images.mkdir()
    made.masks.mkdir()
    mask = np.zeros(FRAME_SHAPE, np.uint8)
    for index, image in enumerate(normal_frames()[:4]):
        if index == 0:
            mask[MASK] = 132
        if index == 3:
            mask[:] = 0
        shown = image if index == 3 else with_film(image)
        cv2.imwrite(str(made.images / f"frame{index}.tif"), shown)
        cv2.imwrite(str(made.masks / f"frame{index}_gt.png"), mask)
    return made
