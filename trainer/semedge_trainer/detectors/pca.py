"""Principal components of normal patches: what a linear autoencoder learns (thesis 2.2.2).

A baseline that networks must beat. A patch is scored by what the components leave of it, or by how
far it lies within them (Hotelling's T).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from semedge_trainer.components.pca import Moments
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
    """How many components are kept."""

    components: int = 64


class Pca(FittedDetector):
    """The fit and the scores of principal components."""

    name = "pca"
    thesis_section = "2.2.2"
    options_class = Options
    schedules: ClassVar = FIT_SCHEDULES
    options: Options

    def score_plan(self) -> ScorePlan:
        """Residual, and the distance within the components."""
        scores = {"residual": {"pca_residual": 1.0}, "hotelling": {"pca_hotelling": 1.0}}
        return ScorePlan((), scores, default="residual")

    def fitting(self, networks: Networks, seed: int) -> PcaFitting:
        """Moments of the patches, then their eigenvectors."""
        return PcaFitting(self.patch_px, self.options.components)


class PcaFitting:
    """A fit of principal components under way."""

    def __init__(self, patch_px: int, components: int) -> None:
        self._moments = Moments(patch_px * patch_px)
        self._components = components

    def take(self, patches: Array) -> dict[str, float]:
        """Add to the moments."""
        self._moments.add(patches.reshape(len(patches), -1))
        return {"patches": self._moments.count}

    def arrays(self) -> Arrays:
        """Mean, components and deviations."""
        principal = self._moments.principal(self._components)
        return {
            "pca_mean": principal.mean,
            "pca_components": principal.components,
            "pca_deviations": principal.deviations,
        }
