"""The materials of the panel: which frames are fitted to, and which are tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from magnetic_tiles import folds_of, tiles_of

from semedge.core.frame import AnyImage, Frame
from semedge.core.images import list_images, to_gray

MATERIALS = ("magnetic_tile", "solar_cell", "pill", "pcb", "commutator", "cookie")
FOLDS = 2
"""Of the four folds of magnetic tiles, so many are measured."""


@dataclass(frozen=True)
class Split:
    """Frames of a material: to fit, and to test."""

    fit: tuple[Path, ...]
    normal: tuple[Path, ...]
    anomalous: dict[str, tuple[Path, ...]]
    masks: dict[Path, Path]


def splits_of(folder: Path) -> list[Split]:
    """The splits of a material."""
    if (folder / "test_normal").is_dir():
        masks = _masks(folder / "anomalous" / "images", folder / "anomalous" / "masks")
        return [
            Split(
                tuple(list_images(folder / "normal")),
                tuple(list_images(folder / "test_normal")),
                {"all": tuple(list_images(folder / "anomalous" / "images"))},
                masks,
            )
        ]
    folds = folds_of(tiles_of(list_images(folder / "normal" / "images")), 4)
    classes = sorted(each for each in (folder / "anomalous").iterdir() if each.is_dir())
    anomalous = {each.name: tuple(list_images(each / "images")) for each in classes}
    masks = {
        image: mask
        for each in classes
        for image, mask in _masks(each / "images", each / "masks").items()
    }
    return [
        Split(
            tuple(path for other in folds if other is not fold for path in other),
            tuple(fold),
            anomalous,
            masks,
        )
        for fold in folds[:FOLDS]
    ]


def _masks(images: Path, masks: Path) -> dict[Path, Path]:
    if not masks.is_dir():
        return {}
    found = {path.stem: path for path in list_images(masks)}
    return {path: found[path.stem] for path in list_images(images) if path.stem in found}


def some(paths: Sequence[Path], count: int | None) -> list[Path]:
    """At most `count` of the files, evenly chosen."""
    if count is None or count >= len(paths):
        return list(paths)
    return [paths[int(at)] for at in np.linspace(0, len(paths) - 1, count)]


def frame_of(picture: AnyImage) -> Frame:
    """A picture, gray or in colour, as a frame."""
    return Frame(to_gray(picture), colours=picture if picture.ndim == 3 else None)
