"""Scores that need no detector: what a detector must beat to have learned anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.grid import PatchGrid
from semedge.inference.scaling import scale_patches
from semedge.inference.scores.statistics import deviation, mean_gray, pca_residual
from semedge_trainer.components.pca import Moments, PrincipalComponents

Array = NDArray[np.float32]

COMPONENTS = 64
FIT_STRIDE_SHARE = 4
"""Patches for the fit lie a quarter of a patch apart."""

BASELINE_NAMES = ("floor_mean_gray", "floor_deviation", "floor_pca")


@dataclass(frozen=True)
class Baselines:
    """Principal components of normal patches, beside two statistics that need no fit."""

    principal: PrincipalComponents

    @classmethod
    def fit(cls, images: Iterable[GrayImage], patch_px: int) -> Baselines:
        """Find the components in patches of normal frames."""
        moments = Moments(patch_px * patch_px)
        stride_px = max(1, patch_px // FIT_STRIDE_SHARE)
        for image in images:
            height, width = image.shape
            patches = _scaled(PatchGrid((height, width), patch_px, stride_px).cut(image))
            moments.add(patches.reshape(len(patches), -1))
        return cls(moments.principal(COMPONENTS))

    def scores(self, patches: GrayImage) -> dict[str, Array]:
        """Scores of patches `(n, patch_px, patch_px, 1)`, by name.

        Mean gray and its standard deviation are taken as they are; an AUROC below 0.5 says that
        anomalous patches have the lower values. The third is the norm of what the principal
        components leave of a patch.
        """
        x = _scaled(patches)
        residual = pca_residual(x, self.principal.mean, self.principal.components)
        return dict(zip(BASELINE_NAMES, (mean_gray(x), deviation(x), residual), strict=True))


def _scaled(patches: GrayImage) -> Array:
    return scale_patches(patches, "range")
