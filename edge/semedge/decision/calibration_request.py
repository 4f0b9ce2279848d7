"""What a calibration should prove, and how normal frames are counted."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from semedge.core.errors import SemedgeError
from semedge_calibration import Method


@dataclass(frozen=True)
class CalibrationRequest:
    """The guarantee to prove, and how the normal frames are counted.

    Attributes
    ----------
    false_alarm_rate, confidence, method
        The guarantee.
    group_by
        Regular expression searched in a frame's file name; frames with the same first group (or
        match, where it has no group) count once.
    group_every_s
        Length of a time block in seconds; frames captured in the same block count once.
    fields
        Width and height in pixels of the fields that frames are split into.
    allow_training_frames
        Whether to use frames that the detector was trained on, with a warning in the file.
    bits
        Bits of a pixel that the frames are read with, for whoever uses the calibration.
    """

    false_alarm_rate: float = 0.01
    confidence: float = 0.95
    method: Method = "tolerance"
    group_by: re.Pattern[str] | None = None
    group_every_s: float | None = None
    fields: tuple[int, int] | None = None
    allow_training_frames: bool = False
    bits: int | None = None

    @property
    def unit(self) -> str:
        """What the guarantee counts, in the plural."""
        scored = "frames"
        if self.fields is not None:
            scored = f"{self.fields[0]}x{self.fields[1]} px fields"
        return f"groups of {scored}" if self.grouped else scored

    @property
    def assumption(self) -> str | None:
        """What the guarantee assumes; None where it assumes nothing."""
        if self.fields is None or self.grouped:
            return None
        return "the fields of a frame are far enough apart to be independent"

    @property
    def grouped(self) -> bool:
        """Whether frames are counted in groups."""
        return self.group_by is not None or self.group_every_s is not None

    def group_of(self, source: str, elapsed_s: float) -> Hashable | None:
        """The group of a frame that was captured `elapsed_s` after the first; None without groups.

        Raises `SemedgeError` where the name of the frame's file has no group.
        """
        if self.group_every_s is not None:
            return math.floor(elapsed_s / self.group_every_s)
        if self.group_by is None:
            return None
        name = Path(source).name
        match = self.group_by.search(name)
        key = match and match[1 if self.group_by.groups else 0]
        if key is None:
            raise SemedgeError(
                f"The group of {name} is not known, because --group-by {self.group_by.pattern!r} "
                "does not match it; choose an expression that matches every file name."
            )
        return key
