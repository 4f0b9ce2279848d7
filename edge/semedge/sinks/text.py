"""An event as a short text, for people who read it on a phone."""

from __future__ import annotations

from pathlib import Path

from semedge.core.event import Event
from semedge.core.timing import utc_text

LARGEST_PICTURE_BYTES = 8_000_000
"""Largest picture to attach: mail servers refuse larger ones, and the alert with them."""


def title_of(event: Event) -> str:
    """One line: the place, the level and the code."""
    level = f"{event.level.upper()}: " if event.level else ""
    ended = " (ended)" if event.phase == "end" and event.duration_s > 0 else ""
    place = f"{event.station} {event.camera}".strip()
    title = f"[{place}] {level}{event.kind} {event.code}{ended}"
    # A line break in a name would end the header of an e-mail.
    return " ".join("".join(each if each.isprintable() else " " for each in title).split())


def body_of(event: Event) -> str:
    """A few lines: the message, then the values."""
    facts = [
        ("time", utc_text(event.captured_at_s or event.raised_at_s)),
        ("since", utc_text(event.started_at_s)),
        ("score", _figures(event)),
        ("place", None if event.peak_px is None else "x={} y={} px".format(*event.peak_px)),
        ("frames", event.frames or None),
        ("frame", event.source),
        ("event", event.event_id),
    ]
    lines = [f"{name:<7}{value}" for name, value in facts if value is not None]
    return "\n".join([event.message, "", *lines, ""])


def picture_of(event: Event) -> bytes | None:
    """Content of the heat map's picture; None where there is none, or it is too large to send."""
    if event.overlay_picture is None:
        return None
    path = Path(event.overlay_picture)
    try:
        if path.stat().st_size > LARGEST_PICTURE_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        # Retention may have deleted it while the receiver was unreachable.
        return None


def _figures(event: Event) -> str | None:
    if event.frame_score is None:
        return None
    limit = "" if event.threshold is None else f", level {event.threshold:.4g}"
    return f"{event.frame_score:.4g}{limit}"
