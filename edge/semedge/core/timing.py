"""Times: the wall clock is for people, the monotonic clock for every duration and limit."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def utc_text(time_s: float) -> str:
    """A time in seconds since the Unix epoch as ISO-8601 text in UTC, to the microsecond."""
    moment = datetime.fromtimestamp(time_s, timezone.utc)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def utc_seconds(text: str) -> float:
    """Seconds since the Unix epoch of a time that `utc_text` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


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
        """Add the time since the last call to a stage."""
        now = time.perf_counter()
        self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + (now - self._since) * 1e3
        self._since = now
