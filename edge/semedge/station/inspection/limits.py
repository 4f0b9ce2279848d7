"""What ends the loop of a camera."""

from __future__ import annotations

from pydantic import Field

from semedge.core.section import Section


class LoopLimits(Section):
    """When the loop of a camera ends by itself."""

    max_frames: int | None = Field(
        default=None, ge=1, description="Number of inspected frames after which the watch stops."
    )
    stop_after_stalled_s: float | None = Field(
        default=None,
        gt=0,
        description="Time without a frame after which the watch ends; by default it never does.",
    )
