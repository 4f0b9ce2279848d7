"""Frames, their masks and their heat maps, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semedge.core.frame import GrayImage
from semedge.inference.overlay import encode_png, heat, tinted
from semedge_trainer.evaluation.report.picture import (
    ColourImage,
    Picture,
    in_colour,
    outline,
    photograph,
)
from semedge_trainer.evaluation.results import Result
from semedge_trainer.evaluation.scored_frames import ScoredFrame

PREVIEW_PX = 360


@dataclass(frozen=True)
class FrameView:
    """A frame as the report shows it.

    Attributes
    ----------
    name
        Name of the frame's file.
    highest
        Its highest score.
    anomalous_share
        Share of its pixels that the mask marks; None where the frame is known as normal.
    panels
        Frame, mask and heat map.
    """

    name: str
    highest: float
    anomalous_share: float | None
    panels: tuple[ColourImage, ColourImage, ColourImage]

    @property
    def png(self) -> bytes:
        """The panels in full size, side by side."""
        return encode_png(np.concatenate(self.panels, axis=1))

    @property
    def previews(self) -> tuple[Picture, ...]:
        """The panels for the page."""
        kinds = ("The frame", "The contour of the mask on", "The heat map of")
        return tuple(
            photograph(f"{kind} {self.name}.", panel, PREVIEW_PX)
            for kind, panel in zip(kinds, self.panels, strict=True)
        )


def frame_views(result: Result) -> Iterator[FrameView]:
    """Every frame of a result by its chosen score, one at a time.

    All maps share one scale: that of the calibrated threshold where there is one, else of the
    oracle's, else of the highest score.
    """
    score, threshold = result.rows[0].score, result.threshold
    if threshold is None:
        threshold = max(float(frame.patch_scores[score].max()) for frame in result.frames)
    for frame in result.frames:
        yield _view(frame, score, threshold)


def draw_panels(
    image: GrayImage,
    mask: NDArray[np.bool_],
    pixel_scores: NDArray[np.float32],
    threshold: float,
) -> tuple[ColourImage, ColourImage, ColourImage]:
    """Frame, frame with the mask's contour, and heat map, uint8 BGR `(height, width, 3)` each."""
    gray = in_colour(image)
    outlined = gray.copy()
    outline(outlined, mask, max(1, min(image.shape) // 300))
    return gray, outlined, tinted(gray, heat(pixel_scores, threshold))


def _view(frame: ScoredFrame, score: str, threshold: float) -> FrameView:
    scores = frame.patch_scores[score]
    whole, mask = frame.files.read(frame.grid.patch_px)
    return FrameView(
        frame.files.image_path.name,
        float(scores.max()),
        frame.anomalous_px / mask.size if frame.files.masked else None,
        draw_panels(whole.image, mask, frame.grid.to_pixels(scores), threshold),
    )
