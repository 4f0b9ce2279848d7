"""Scores that need no detector: what a detector must beat to have learnt anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.frame import GrayImage
from semedge.grid import PatchGrid
from semedge.scaling import scale_patches

Array = NDArray[np.float32]

COMPONENTS = 64
FIT_STRIDE_SHARE = 4
"""Patches for the fit lie a quarter of a patch apart."""

FLOOR_NAMES = ("floor_mean_gray", "floor_deviation", "floor_pca")


@dataclass(frozen=True)
class Floors:
    """Principal components of normal patches, beside two statistics that need no fit.

    Attributes
    ----------
    mean
        Mean normal patch in [-1, 1], shape `(pixels,)`.
    components
        Orthonormal, shape `(pixels, components)`.
    """

    mean: Array
    components: Array

    @classmethod
    def fit(cls, images: Iterable[GrayImage], patch_px: int) -> Floors:
        """Find the components in patches of normal frames.

        The moments are summed frame by frame, so that memory does not grow with the frames.
        """
        pixels = patch_px * patch_px
        count = 0
        total = np.zeros(pixels)
        products = np.zeros((pixels, pixels))
        for image in images:
            height, width = image.shape
            stride_px = max(1, patch_px // FIT_STRIDE_SHARE)
            values = _flat(PatchGrid((height, width), patch_px, stride_px).cut(image))
            count += len(values)
            total += values.sum(axis=0, dtype=np.float64)
            products += values.T @ values
        mean = total / count
        _, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
        kept = vectors[:, -min(COMPONENTS, pixels - 1) :]
        return cls(mean.astype(np.float32), kept.astype(np.float32))

    def floor_scores(self, patches: GrayImage) -> dict[str, Array]:
        """Scores of patches `(n, patch_px, patch_px, 1)`, by name.

        Mean gray and its standard deviation are taken as they are; an AUROC below 0.5 says that
        anomalous patches have the lower values. The third is the norm of what the principal
        components leave of a patch.
        """
        values = _flat(patches)
        centred = values - self.mean
        residual = centred - (centred @ self.components) @ self.components.T
        scores = (values.mean(axis=1), values.std(axis=1), np.linalg.norm(residual, axis=1))
        return dict(zip(FLOOR_NAMES, scores, strict=True))


def _flat(patches: GrayImage) -> Array:
    return scale_patches(patches, "range").reshape(len(patches), -1)
