"""What ends an inspection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunLimits:
    """When an inspection ends by itself.

    Attributes
    ----------
    max_frames
        After so many inspected frames; None for no limit.
    stop_after_stalled_s
        Once a live camera has given no frame for so long; None for never.
    """

    max_frames: int | None = None
    stop_after_stalled_s: float | None = None
