"""What a station reports: an event's start, its updates and its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files as package_files
from typing import Any, Literal, get_args

from semedge.core.timing import utc_seconds, utc_text

SCHEMA_VERSION = 2

Kind = Literal["defect", "health", "drift", "check", "recipe", "test"]
Phase = Literal["start", "update", "end"]
Level = Literal["warn", "alarm"]

KINDS: tuple[Kind, ...] = get_args(Kind)
TIMES = ("started_at", "raised_at", "captured_at")


@dataclass(frozen=True)
class Region:
    """A connected part of a frame whose score is above a level.

    Attributes
    ----------
    left_px, top_px, width_px, height_px
        The box around it.
    area_px
        Pixels that it covers.
    peak_px
        Pixel `(x, y)` of its largest score.
    score
        That score.
    width_um, height_um, area_um2
        The same on the specimen, where the size of a pixel is known.
    """

    left_px: int
    top_px: int
    width_px: int
    height_px: int
    area_px: int
    peak_px: tuple[int, int]
    score: float
    width_um: float | None = None
    height_um: float | None = None
    area_um2: float | None = None

    def sized(self, pixel_size_um: float | None) -> Region:
        """The region with its size on the specimen, where that of a pixel is known."""
        if pixel_size_um is None:
            return self
        return replace(
            self,
            width_um=self.width_px * pixel_size_um,
            height_um=self.height_px * pixel_size_um,
            area_um2=self.area_px * pixel_size_um**2,
        )

    def to_document(self) -> dict[str, Any]:
        """The region in an event's document, without what is not known."""
        document = {name: value for name, value in asdict(self).items() if value is not None}
        return {**document, "peak_px": list(self.peak_px)}


@dataclass(frozen=True)
class Event:
    """One message of the station; the messages of one occurrence share their `event_id`.

    Attributes that do not apply to a kind of event are None or empty.

    Attributes
    ----------
    event_id
        Identifier of the occurrence, 32 hexadecimal digits: the same from its start to its end.
    kind, phase
        What happens, and whether it starts, continues or ends. A `check`, `recipe` or `test` has
        only the phase `end`.
    code
        The exact cause, as a word for machines, such as `score`, `frozen` or `alarm-rate`.
    message
        The same as a sentence for people.
    station, camera
        Names in the station file; the camera is empty where the event concerns the whole station.
    started_at_s, raised_at_s
        Wall clock at the start of the occurrence and at this message, seconds since the Unix epoch.
    duration_s
        From the start to this message, by the monotonic clock.
    number
        Place in the journal, from 1 and always rising, given when the event is stored; 0 before.
    level
        Severity: `warn` or `alarm`.
    sequence, source, captured_at_s
        The frame that the message is about: its place in the stream, its origin, and its capture
        time since the Unix epoch.
    frame_score, threshold
        Score of the frame, and the level that it was compared with.
    raw_score
        The frame's score before the detector scaled it, see `Detector.raw_score`; None in events
        of older versions.
    peak_px
        Centre `(x, y)` of the patch with the largest score.
    frames
        Frames above the level since the start.
    regions
        Where the frame is anomalous, the largest score first.
    frame_picture, overlay_picture
        Paths of the frame and of its heat map; None where they were not written.
    detector_sha256, calibration_sha256, recipe_sha256
        Digests of what the frame was judged by.
    details
        Further values of an event of this code, by name.
    """

    event_id: str
    kind: Kind
    phase: Phase
    code: str
    message: str
    station: str
    camera: str
    started_at_s: float
    raised_at_s: float
    duration_s: float = 0.0
    number: int = 0
    level: Level | None = None
    sequence: int | None = None
    source: str | None = None
    captured_at_s: float | None = None
    frame_score: float | None = None
    raw_score: float | None = None
    threshold: float | None = None
    peak_px: tuple[int, int] | None = None
    frames: int = 0
    regions: tuple[Region, ...] = ()
    frame_picture: str | None = None
    overlay_picture: str | None = None
    detector_sha256: str | None = None
    calibration_sha256: str | None = None
    recipe_sha256: str | None = None
    details: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What distinguishes a repeated delivery of this message from a new message."""
        return f"{self.event_id}-{self.number}"

    def to_document(self) -> dict[str, Any]:
        """The event as every sink sends it; `schemas/event.json` describes the document."""
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "key": self.key}
        for name, value in asdict(self).items():
            text_name = name.removesuffix("_s")
            if text_name in TIMES:
                document[text_name] = None if value is None else utc_text(value)
            else:
                document[name] = value
        document["peak_px"] = None if self.peak_px is None else list(self.peak_px)
        document["regions"] = [region.to_document() for region in self.regions]
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Event:
        """The event that `to_document` wrote; its times are exact to the microsecond."""
        fields = {name: value for name, value in document.items() if name not in NOT_FIELDS}
        for name in TIMES:
            value = fields.pop(name)
            fields[f"{name}_s"] = None if value is None else utc_seconds(value)
        fields["peak_px"] = _point(fields["peak_px"])
        fields["regions"] = tuple(
            Region(**{**region, "peak_px": _point(region["peak_px"])})
            for region in fields["regions"]
        )
        return cls(**fields)


NOT_FIELDS = ("schema_version", "key")


def event_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `Event.to_document` gives."""
    text = package_files("semedge").joinpath("schemas/event.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _point(pair: Any) -> Any:
    return None if pair is None else tuple(pair)
