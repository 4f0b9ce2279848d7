"""The per-region overlap (AUPRO; Bergmann et al., CVPR 2019), which counts small defects as much
as large ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semedge_trainer.evaluation.samples import FrameSamples, Sorted

MOST_FALSE_POSITIVES = 0.3
"""The overlap is averaged over thresholds that flag up to this share of the normal pixels."""


def region_overlap(frames: Sequence[FrameSamples], normal: Sorted) -> float | None:
    """Mean share of a region that is flagged, over false-positive shares up to 30 %.

    Between two scores of anomalous pixels the overlap is constant; where pixels of both kinds
    have one score, both shares grow together along a straight line. None where samples have no
    regions or one kind is missing.

    Parameters
    ----------
    frames
        The samples with their regions.
    normal
        Scores of the normal samples of all frames, ascending.
    """
    shares = [frame.region_shares for frame in frames if frame.region_shares is not None]
    if len(shares) < len(frames) or not sum(map(len, shares)) or not len(normal):
        return None
    anomalous = np.concatenate([frame.anomalous for frame in frames])
    falling, index = np.unique(-anomalous, return_inverse=True)
    reached = np.cumsum(np.bincount(index, np.concatenate(shares)))
    before = np.insert(reached[:-1], 0, 0.0)
    not_above = [np.searchsorted(normal, -falling, side) for side in ("right", "left")]
    false_positives = 1.0 - np.column_stack(not_above).ravel() / len(normal)
    overlap = np.column_stack([before, reached]).ravel() / reached[-1]
    return area_up_to(np.append(false_positives, 1.0), np.append(overlap, 1.0))


def area_up_to(
    false_positives: NDArray[np.floating],
    overlap: NDArray[np.floating],
    most: float = MOST_FALSE_POSITIVES,
) -> float:
    """Mean overlap over false-positive shares from 0 to `most`; both ascend, to 1."""
    from sklearn.metrics import auc  # half a second, for pixels only

    count = int(np.searchsorted(false_positives, most, "right"))
    at_most = np.interp(most, false_positives, overlap)
    x = np.concatenate([[0.0], false_positives[:count], [most]])
    y = np.concatenate([[0.0], overlap[:count], [at_most]])
    return float(auc(x, y) / most)
