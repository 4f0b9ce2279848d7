"""What gives patches their scores: a bundle as on the edge, or the networks of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import AnyImage
from semedge.inference.bundle import Bundle
from semedge.inference.grid import PatchGrid

Scores = NDArray[np.float32]


class AnyScorer(Protocol):
    """Gives every patch its scores: `semedge.inference.detector.Detector`, or `SearchingScorer`."""

    @property
    def bundle(self) -> Bundle | None:
        """What runs; None where it is the networks of a run."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is scored, for the record."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that it gives."""

    @property
    def patch_px(self) -> int:
        """Side of a patch."""

    @property
    def stride_px(self) -> int:
        """Distance between patches unless another is asked for."""

    @property
    def bits(self) -> int | None:
        """Bits of a pixel of the training frames; None where they filled their type."""
        ...

    @property
    def trained_on(self) -> Collection[str]:
        """Digests of the frames that it was trained on."""

    @property
    def whole_frames(self) -> bool:
        """Whether the networks take a frame as a whole, not cut into patches."""

    def score_chosen(
        self, picture: AnyImage, grid: PatchGrid, chosen: NDArray[np.intp]
    ) -> dict[str, Scores]:
        """Scores of the chosen patches of a grid that covers the frame's upper left part."""
