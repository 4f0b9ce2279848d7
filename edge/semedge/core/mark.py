"""Marks: what people found an alert or a frame to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from semedge.core.frame import Frame

MarkName = Literal["real", "false-alarm", "missed"]
"""An alert is real or a false alarm; a frame that raised none is a missed defect."""

GivenMark = Literal["real", "false-alarm", "missed", "none"]
"""A mark as somebody gives it; `none` takes an earlier one back."""

MARKS: tuple[MarkName, ...] = get_args(MarkName)

FRAME_ID = r"^[A-Za-z0-9_-]{1,40}-\d{8}T\d{6}\.\d{6}-\d{1,18}$"
"""What `frame_id` gives, as a regular expression."""

NAMELESS = "camera"
"""Stands for the camera's name in events that have none."""

LONGEST_NOTE = 500


@dataclass(frozen=True)
class Mark:
    """The mark of an event or of a frame.

    Attributes
    ----------
    mark
        What it was found to be.
    at, who
        When it was marked (ISO-8601, UTC), and by whom.
    note
        What the person wrote; may be empty.
    """

    mark: MarkName
    at: str
    who: str
    note: str = ""

    def to_document(self) -> dict[str, Any]:
        """The mark as clients get it."""
        return {"mark": self.mark, "at": self.at, "who": self.who, "note": self.note}


def frame_id_of(camera: str, frame: Frame) -> str:
    """Identifier of a frame of a station's camera."""
    return frame_id(camera, frame.captured_at_s, frame.sequence)


def frame_id(camera: str, captured_at_s: float, sequence: int) -> str:
    """Identifier of a frame of a station: camera, time of capture (UTC) and place in the stream."""
    captured = datetime.fromtimestamp(captured_at_s, timezone.utc)
    return f"{camera or NAMELESS}-{captured:%Y%m%dT%H%M%S.%f}-{sequence}"
