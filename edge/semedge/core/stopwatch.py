"""Milliseconds spent in each stage of a computation."""

from __future__ import annotations

import time


class Stopwatch:
    """Times stages that follow each other; a stage that comes again is added up.

    Attributes
    ----------
    stage_ms
        Milliseconds by stage.
    """

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last call on a stage."""
        now = time.perf_counter()
        self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + (now - self._since) * 1e3
        self._since = now
