"""Brightness, contrast and sharpness of normal patches, without any network (a baseline).

Five statistics of a patch are compared with a mixture of Gaussians, or against one; the plain mean
and deviation of its gray values are scores as well. The thesis has no such detector: it is what the
learned ones must beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from semedge.core.errors import SemedgeError
from semedge.inference.scores.statistics import patch_statistics
from semedge_trainer.components.density import COMPONENTS, gaussian, mixture
from semedge_trainer.detectors.base import (
    FIT_SCHEDULES,
    Array,
    Arrays,
    FittedDetector,
    Networks,
    ScorePlan,
)


@dataclass(frozen=True)
class Options:
    """None."""


class PatchStatistics(FittedDetector):
    """The fit and the scores of patch statistics."""

    name = "patch-statistics"
    thesis_section = "none: a baseline"
    options_class = Options
    schedules: ClassVar = FIT_SCHEDULES
    options: Options

    def score_plan(self) -> ScorePlan:
        """Rareness under a mixture, under one Gaussian, and two statistics as they are."""
        names = ("statistics_surprise", "statistics_gaussian", "mean_gray", "deviation")
        return ScorePlan((), {name: {name: 1.0} for name in names}, default=names[0])

    def fitting(self, networks: Networks, seed: int) -> StatisticsFitting:
        """Statistics of the patches, then their densities."""
        return StatisticsFitting()


class StatisticsFitting:
    """A fit of densities under way: it holds five numbers of each patch."""

    def __init__(self) -> None:
        self._statistics: list[Array] = []

    def take(self, patches: Array) -> dict[str, float]:
        """Keep the statistics."""
        self._statistics.append(patch_statistics(patches))
        return {"mean_gray": float(self._statistics[-1][:, 0].mean())}

    def arrays(self) -> Arrays:
        """The mixture and the Gaussian."""
        statistics = np.concatenate(self._statistics)
        if len(statistics) < COMPONENTS:
            raise SemedgeError(
                f"{COMPONENTS} Gaussians need as many patches, and {len(statistics)} were shown; "
                "give more steps."
            )
        return mixture("s", statistics) | gaussian("s", statistics)
