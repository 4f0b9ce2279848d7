"""The samples that metrics count: patches, pixels or frames by their scores, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Sorted = NDArray[np.float32]


@dataclass(frozen=True)
class FrameSamples:
    """Sorted scores of one frame's samples.

    Attributes
    ----------
    anomalous, normal
        Ascending.
    region_shares
        Of each anomalous sample the share that it has in its region, in the order of `anomalous`,
        so that they sum to the number of regions; None where samples have no regions.
    """

    anomalous: Sorted
    normal: Sorted
    region_shares: Sorted | None = None


def frame_samples(
    scores: NDArray[np.float32],
    anomalous: NDArray[np.bool_],
    regions: NDArray[np.integer] | None = None,
) -> FrameSamples:
    """Sort the scores of a frame's samples apart.

    Parameters
    ----------
    scores, anomalous
        Score of each sample, and whether it is anomalous; both of the same shape.
    regions
        Number of the region of each anomalous sample, in the order of `scores[anomalous]`.
    """
    found = scores[anomalous]
    order = np.argsort(found)
    shares = None
    if regions is not None:
        _, index, sizes = np.unique(regions, return_inverse=True, return_counts=True)
        shares = (1.0 / sizes)[index][order].astype(np.float32)
    return FrameSamples(found[order], np.sort(scores[~anomalous]), shares)


def pooled(frames: Sequence[FrameSamples]) -> tuple[Sorted, Sorted]:
    """Sorted scores of all anomalous and of all normal samples."""
    anomalous = np.sort(np.concatenate([frame.anomalous for frame in frames]))
    normal = np.sort(np.concatenate([frame.normal for frame in frames]))
    return anomalous, normal
