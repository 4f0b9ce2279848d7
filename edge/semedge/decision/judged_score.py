"""The score that a frame is judged by: that of its regions which are large enough."""

from __future__ import annotations

from semedge.core.frame import Frame
from semedge.decision.defect import Levels
from semedge.inference.score_map import ScoreMap

ALL_REGIONS = 100_000


def judged_score(
    frame: Frame, score_map: ScoreMap, levels: Levels, smallest_um: float | None
) -> float:
    """The frame's score, or that of its largest regions where small ones are no defect."""
    score = score_map.frame_score
    if smallest_um is None or frame.pixel_size_um is None or score <= levels.lowest:
        return score
    large = [
        region.score
        for region in score_map.regions(levels.lowest, most=ALL_REGIONS)
        if max(region.width_px, region.height_px) * frame.pixel_size_um >= smallest_um
    ]
    return min(score, max(large, default=levels.lowest))
