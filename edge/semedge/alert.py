"""What is raised where a frame is not normal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


def utc_text(time_s: float) -> str:
    """A time in seconds since the Unix epoch as ISO-8601 text in UTC, to the microsecond."""
    moment = datetime.fromtimestamp(time_s, timezone.utc)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def utc_seconds(text: str) -> float:
    """Seconds since the Unix epoch of a time that `utc_text` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@dataclass(frozen=True)
class Alert:
    """One frame that scored above the threshold.

    Attributes
    ----------
    event_id
        UUID in 32 hexadecimal digits; the same in every place that the alert reaches, so that a
        receiver can tell a repeated delivery.
    sequence, source, captured_at_s
        The frame's place in the stream, its origin, and its capture time since the Unix epoch.
    raised_at_s
        Time of the decision, seconds since the Unix epoch.
    frame_score, threshold
        Largest score of any patch, and the limit that it exceeded.
    peak_px
        Centre `(x, y)` of the patch with the largest score.
    detector_sha256
        Digest of the detector bundle that scored the frame.
    frame_picture, overlay_picture
        Paths of the frame and of its heat map; None where they could not be written.
    """

    event_id: str
    sequence: int
    source: str
    captured_at_s: float
    raised_at_s: float
    frame_score: float
    threshold: float
    peak_px: tuple[int, int]
    detector_sha256: str
    frame_picture: str | None
    overlay_picture: str | None

    def to_dict(self) -> dict[str, Any]:
        """The alert as a JSON document, with ISO-8601 times in UTC."""
        return {
            "event_id": self.event_id,
            "sequence": self.sequence,
            "source": self.source,
            "captured_at": utc_text(self.captured_at_s),
            "raised_at": utc_text(self.raised_at_s),
            "frame_score": self.frame_score,
            "threshold": self.threshold,
            "peak_px": list(self.peak_px),
            "detector_sha256": self.detector_sha256,
            "frame_picture": self.frame_picture,
            "overlay_picture": self.overlay_picture,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Alert:
        """The alert that `to_dict` wrote; its times are exact to the microsecond."""
        fields = dict(document)
        x, y = fields.pop("peak_px")
        return cls(
            captured_at_s=utc_seconds(fields.pop("captured_at")),
            raised_at_s=utc_seconds(fields.pop("raised_at")),
            peak_px=(x, y),
            **fields,
        )
