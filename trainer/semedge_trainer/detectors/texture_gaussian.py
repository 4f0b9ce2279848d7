"""Pretrained features of the frame, and one Gaussian a depth for the whole texture.

A network that was trained on ImageNet sees texture. How far its features at a place lie from those
of normal material, by Mahalanobis distance, says how anomalous the place is. No position is
special, so that five frames give tens of thousands of samples, and nothing is trained. The idea is
that of Rippel et al., "Modeling the Distribution of Normal Data in Pre-Trained Deep Features for
Anomaly Detection" (2020). Theirs is also that the directions in which normal features vary least
separate best: the quarter with the largest variance is left out here. Every place is judged, and
depths are added up as if they were independent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from semedge.core.frame import GrayImage
from semedge_trainer.detectors.base import Networks, Schedule, ScorePlan
from semedge_trainer.detectors.texture_features import (
    Array,
    TextureFeatures,
    TextureOptions,
    check_option,
    gaussians_of,
)

DEPTHS = ("5+6+9", "6+9", "5+6+9+12", "6+9+12", "9", "6")


@dataclass(frozen=True)
class TextureGaussianOptions(TextureOptions):
    """Variants of the detector.

    Attributes
    ----------
    depths
        Blocks whose features are used; fewer are faster.
    kept
        Share of the directions that a depth is judged by, those of least variance.
    """

    depths: str = field(default="5+6+9", metadata={"choices": DEPTHS})
    kept: float = 0.75


class TextureGaussian(TextureFeatures):
    """Mahalanobis distance of a pretrained network's features."""

    name: ClassVar[str] = "texture-gaussian"
    thesis_section: ClassVar[str] = "none: pretrained features, after Rippel et al. 2020"
    options_class: ClassVar[type] = TextureGaussianOptions
    options: TextureGaussianOptions

    def __init__(self, options: TextureGaussianOptions, schedule: Schedule) -> None:
        check_option(options, "kept", 0.01, 1)
        super().__init__(options, schedule, tuple(map(int, options.depths.split("+"))))

    def score_plan(self) -> ScorePlan:
        """The mean of the depths' distances, and each alone."""
        alone = {f"texture_{depth}": 1.0 for depth in self.depths}
        together = {name: 1.0 / len(alone) for name in alone}
        return ScorePlan(
            nodes=self.feature_nodes(),
            scores={"texture": together, **{name: {name: 1.0} for name in alone}},
            default="texture",
        )

    def fit_frames(
        self,
        networks: Networks,
        images: tuple[GrayImage, ...],
        tile_shape: tuple[int, int] | None = None,
    ) -> dict[str, Array]:
        """Mean and whitening of every depth's features over normal frames."""
        features = self.gather(images, lambda image: self.features(networks, image, tile_shape))
        return gaussians_of(features, self.options.ridge, self.options.kept)
