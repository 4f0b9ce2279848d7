"""Frames of a calibration that look or score unlike the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semedge.decision.appearance import FrameAppearance

NORMAL_SIGMA = 1.4826
"""Standard deviation of normally distributed values in units of their median deviation."""
APPEARANCE_SIGMAS = 8.0
"""Distance from the median, in robust standard deviations, beyond which a frame looks different."""
SCORE_SIGMAS = 8.0
LEAST_SIGMA = {"mean_gray": 0.03, "bright_gray": 0.05, "saturated": 0.05, "sharpness": 0.02}
"""Least standard deviation, because frames of a simulation or of one scene hardly differ."""
LARGEST_SHARE = 0.1
"""Share of the frames above which those that look different are another kind of normal ones."""
FEWEST_FRAMES = 5
BLACK, WHITE = 0.02, 0.98


def unlike_others(frames: Sequence[FrameAppearance]) -> dict[int, str]:
    """Frames that look different from the others, by index, each with what it is.

    Empty where there are few frames, or where too many differ.
    """
    if len(frames) < FEWEST_FRAMES:
        return {}
    found: dict[int, str] = {}
    for name, least in LEAST_SIGMA.items():
        values = np.array([getattr(frame, name) for frame in frames])
        for index in np.flatnonzero(_distances(values, least) > APPEARANCE_SIGMAS).tolist():
            found.setdefault(index, _what(frames[index], name))
    return found if len(found) <= max(1, LARGEST_SHARE * len(frames)) else {}


def high_scores(scores: Sequence[float]) -> list[int]:
    """Indices of scores far above the others, the highest first."""
    if len(scores) < FEWEST_FRAMES:
        return []
    values = np.array(scores)
    far = (_distances(values, 1e-9) > SCORE_SIGMAS) & (values > np.median(values))
    return sorted(np.flatnonzero(far).tolist(), key=lambda index: -values[index])


def _distances(values: NDArray[np.float64], least_sigma: float) -> NDArray[np.float64]:
    """Distance of each value from the median in robust standard deviations."""
    deviations = np.abs(values - np.median(values))
    sigma = max(least_sigma, NORMAL_SIGMA * float(np.median(deviations)))
    distances: NDArray[np.float64] = deviations / sigma
    return distances


def _what(frame: FrameAppearance, measure: str) -> str:
    if frame.bright_gray <= BLACK:
        return "is black"
    if frame.mean_gray >= WHITE:
        return "is white"
    words = {
        "mean_gray": "mean gray",
        "bright_gray": "bright gray",
        "saturated": "share of white pixels",
        "sharpness": "sharpness",
    }
    return f"has another {words[measure]} ({getattr(frame, measure):.3f})"
