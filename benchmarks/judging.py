"""Ways to score frames, judged by frames with masks, and chosen by cross-validation over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from predicting import Array, Shown

from semedge_trainer.evaluation.metrics import auroc
from semedge_trainer.evaluation.protocols import THESIS_PATCH_PX, ThesisProtocol
from semedge_trainer.evaluation.samples import FrameSamples, frame_samples, pooled

FOLDS = 4
HEADER = (
    "| chosen among | patch, mean of folds | pixel | patch, fold by fold | chosen |\n"
    "|---|---:|---:|---|---|"
)


@dataclass(frozen=True)
class Way:
    """A way to score, and what it gives.

    Attributes
    ----------
    name
        What it is called.
    normal, cells
        Scores of the cells of each normal frame and of each frame with a mask.
    left
        Share of the whitened features' mean square that is left as error, in words.
    """

    name: str
    normal: Sequence[Array]
    cells: Sequence[Array]
    left: str = ""

    def added_to(self, other: Way) -> Way:
        """The sum of both, each by the mean and deviation that it has on normal frames."""
        normal, cells = (
            [a + b for a, b in zip(*maps, strict=True)]
            for maps in zip(self._standardized(), other._standardized(), strict=True)
        )
        return Way(f"{self.name} + {other.name}", normal, cells)

    def _standardized(self) -> tuple[list[Array], list[Array]]:
        values = np.concatenate([each.ravel() for each in self.normal])
        level, deviation = values.mean(), values.std()
        normal, cells = (
            [(each - level) / deviation for each in part] for part in (self.normal, self.cells)
        )
        return normal, cells


@dataclass(frozen=True)
class Judge:
    """The frames, and how well scores agree with the masks."""

    normal: Sequence[Shown]
    frames: Sequence[Shown]

    def way(self, name: str, places: Callable[[Shown], Array], left: str = "") -> Way:
        """A way whose scores of a frame's places `(rows, columns)` a function gives."""
        normal, cells = (
            [frame.smoothed(places(frame)) for frame in part] for part in (self.normal, self.frames)
        )
        return Way(name, normal, cells, left)

    def patches(self, way: Way) -> list[FrameSamples]:
        """Items of the thesis protocol, a patch's score being that of its highest cell."""
        items = []
        for frame, cells in zip(self.frames, way.cells, strict=True):
            grid = ThesisProtocol().grid(frame.cells.frame_shape, THESIS_PATCH_PX)
            pixels = frame.cells.to_pixels(cells.ravel())
            highest = grid.cut(grid.crop(pixels)).max(axis=(1, 2, 3))
            items.append(frame_samples(highest, ThesisProtocol().labels(grid, frame.mask)))
        return items

    def pixels(self, way: Way, chosen: Sequence[int]) -> float:
        """AUROC over all pixels of the chosen frames."""
        shown = [(self.frames[index], way.cells[index]) for index in chosen]
        return pooled_auroc(
            [frame_samples(f.cells.to_pixels(cells.ravel()), f.mask) for f, cells in shown]
        )


def pooled_auroc(items: Sequence[FrameSamples]) -> float:
    """AUROC over the items of all frames together."""
    found = auroc(*pooled(items))
    assert found is not None
    return found


def cross_validated(
    label: str, ways: Sequence[Way], items: Mapping[str, list[FrameSamples]], judge: Judge
) -> str:
    """A row of the table below `HEADER`: each fold by the way that is best on the others.

    Best for patches, of which `items` has those of every way.
    """
    patches, pixels, chosen = [], [], []
    everything = range(len(judge.frames))
    for fold in range(FOLDS):
        held_out = everything[fold::FOLDS]
        others = [index for index in everything if index not in held_out]
        best = max(ways, key=lambda way: pooled_auroc([items[way.name][i] for i in others]))
        patches.append(pooled_auroc([items[best.name][index] for index in held_out]))
        pixels.append(judge.pixels(best, held_out))
        chosen.append(best.name)
    folds = ", ".join(f"{value:.4f}" for value in patches)
    names = "; ".join(dict.fromkeys(chosen))
    return f"| {label} | {mean(patches):.4f} | {mean(pixels):.4f} | {folds} | {names} |"
