"""Splits frames by time into those to fit and those to calibrate."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

LEAST_FIT = 20
MOST_FIT = 200
FIT_SHARE = 0.5
"""Share of few frames that the detector is fitted to."""


@dataclass(frozen=True)
class Split:
    """Indices of frames, each part in order.

    Attributes
    ----------
    fit
        Frames that the detector is fitted to.
    calibrate
        Frames that the threshold is set by; they were captured later.
    """

    fit: tuple[int, ...]
    calibrate: tuple[int, ...]


def split_frames(groups: Sequence[Hashable], needed: int, fit: int | None = None) -> Split:
    """Split frames by time: the first ones to fit, the later ones to calibrate.

    Neighbouring frames are alike, and a frame that resembles a fitted one scores lower than new
    material. So the parts are two blocks of time, and no group has frames in both.

    Parameters
    ----------
    groups
        The group of each frame in the order of capture; frames without groups have one each.
    needed
        Groups that the calibration needs for the rate that was asked for.
    fit
        Frames to fit, where they are chosen by hand.
    """
    count = len(groups)
    if fit is None:
        spare = count - needed
        fit = min(max(spare, min(LEAST_FIT, int(FIT_SHARE * count)), 1), MOST_FIT)
    end = min(max(fit, 1), count)
    while 0 < end < count and groups[end] == groups[end - 1]:
        end += 1
    fitted = set(groups[:end])
    rest = tuple(index for index in range(end, count) if groups[index] not in fitted)
    return Split(tuple(range(end)), rest)
