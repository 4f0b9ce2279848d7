"""Times: the wall clock is for people, the monotonic clock for every duration and limit."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_text(time_s: float) -> str:
    """A time in seconds since the Unix epoch as ISO-8601 text in UTC, to the microsecond."""
    moment = datetime.fromtimestamp(time_s, timezone.utc)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def utc_seconds(text: str) -> float:
    """Seconds since the Unix epoch of a time that `utc_text` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
