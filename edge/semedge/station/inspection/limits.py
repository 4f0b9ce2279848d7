"""What ends an inspection, or keeps it from judging."""

from __future__ import annotations

from dataclasses import dataclass

from semedge.decision.drift import DriftSettings


@dataclass(frozen=True)
class Limits:
    """When an inspection ends by itself.

    Attributes
    ----------
    max_frames
        After so many inspected frames; None for no limit.
    stop_after_stalled_s
        When a live camera is silent so long; None for never.
    require_check
        Whether a camera judges only once its challenge set was passed with what is in force.
    drift
        When a difference from the calibration is called drift.
    """

    max_frames: int | None = None
    stop_after_stalled_s: float | None = None
    require_check: bool = False
    drift: DriftSettings = DriftSettings()  # noqa: RUF009
