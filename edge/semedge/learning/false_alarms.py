"""Normal frames that raised an alarm, and how they are learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.inference.score_map import ScoreMap

LEAST_PATCHES = 10
"""The highest patches, so many, count as standing out where fewer are above the level."""
EVERY_PX = 4
"""Distance in rows and columns from one examined pixel to the next."""


@dataclass(frozen=True)
class FalseAlarm:
    """A normal frame that alarmed.

    Attributes
    ----------
    name
        Its name in messages.
    load
        Reads its gray values or colours.
    stood_out
        Where it alarmed, `(rows, columns)` on a coarse grid of the frame.
    """

    name: str
    load: Callable[[], AnyImage]
    stood_out: NDArray[np.bool_]


def places_above(score_map: ScoreMap, level: float) -> NDArray[np.bool_]:
    """Where a frame is above a level, or its highest patches where there are few of them."""
    scores = np.sort(score_map.patch_scores)
    if len(scores) > LEAST_PATCHES:
        level = min(level, float(scores[-LEAST_PATCHES - 1]))
    covered = score_map.covered_pixels(level).astype(bool)
    return covered[::EVERY_PX, ::EVERY_PX].copy()


class WithFalseAlarms(Sequence[AnyImage]):
    """Normal frames with false alarms evenly among them; each is read when it is needed.

    False alarms lie among the normal frames, so that both halves of the frames, by which the
    detector's scores are compared, contain some of them.

    Parameters
    ----------
    normal
        Frames that were not chosen by their scores.
    alarms
        The false alarms.

    Attributes
    ----------
    normal_at
        Position among the normal frames, by position in this sequence.
    alarms_at
        The false alarms, by position in this sequence.
    """

    def __init__(self, normal: Sequence[AnyImage], alarms: Sequence[FalseAlarm]) -> None:
        self._normal = normal
        total = len(normal) + len(alarms)
        places = [int((at + 0.5) * total / len(alarms)) for at in range(len(alarms))]
        self.alarms_at = dict(zip(places, alarms, strict=True))
        others = (at for at in range(total) if at not in self.alarms_at)
        self.normal_at = {at: index for index, at in enumerate(others)}

    def __len__(self) -> int:
        return len(self.normal_at) + len(self.alarms_at)

    def __getitem__(self, index: int) -> AnyImage:  # type: ignore[override]  # no slices
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index in self.alarms_at:
            return self.alarms_at[index].load()
        return self._normal[self.normal_at[index]]
