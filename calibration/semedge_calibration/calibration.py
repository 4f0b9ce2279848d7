"""A calibration: the threshold of one detector at one station, with its guarantee."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise

from semedge_calibration.appearance import Appearance, read_appearance
from semedge_calibration.errors import CalibrationError
from semedge_calibration.json_fields import Reader, parse_object
from semedge_calibration.order_statistics import METHODS, Method

FORMAT_VERSION = 2
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ScoredGrid:
    """How the normal frames were cut; `frame_shape` is what was scored as one frame."""

    patch_px: int
    stride_px: int
    frame_shape: tuple[int, int]


@dataclass(frozen=True)
class Calibration:
    """What `semedge calibrate` writes and `semedge watch` reads.

    Attributes
    ----------
    threshold
        A frame raises an alarm if its score is strictly above it.
    method
        `tolerance` or `conformal`.
    false_alarm_rate
        The rate that was requested.
    confidence
        Confidence of the tolerance limit; None for `conformal`, which holds on average.
    proved_rate
        The rate that was proved, at most `false_alarm_rate`.
    rank
        Rank k: the threshold is the k-th largest of the groups' scores.
    groups
        Number n of independent scores.
    frames
        Number of normal frames that were scored.
    guarantee
        The guarantee as a sentence.
    group_by
        Regular expression that named a frame's group, or None.
    group_every_s
        Length of the time blocks that were the groups, or None.
    fields
        Height and width of the fields that frames were split into, or None.
    detector_sha256
        Digest of the bundle that gave the scores.
    grid
        Patch, stride and shape that were scored.
    score_name
        Name of the score that the detector judges frames by.
    runtime
        The runtime that ran the graphs: int8 scores differ between runtimes.
    quantiles
        Quantiles of the normal scores, by probability as text: `{"0.5": ...}`.
    appearance
        How the normal frames looked.
    created_at
        Date and time with its offset, ISO 8601.
    warnings
        What a reader of the guarantee must know.
    bits
        Bits of a pixel that the frames were read with; None where they filled their type. It is
        written only where there are any.
    pixel_size_um
        Micrometres of a pixel of the frames; None, and not written, where it was not known.
    largest_group
        Scores of the largest group, as a multiple of the mean group's; None, and not written, where
        all groups were of one size.
    """

    threshold: float
    method: Method
    false_alarm_rate: float
    confidence: float | None
    proved_rate: float
    rank: int
    groups: int
    frames: int
    guarantee: str
    group_by: str | None
    group_every_s: float | None
    fields: tuple[int, int] | None
    detector_sha256: str
    grid: ScoredGrid
    score_name: str
    runtime: str
    quantiles: Mapping[str, float]
    appearance: Appearance
    created_at: str
    warnings: tuple[str, ...] = ()
    bits: int | None = None
    pixel_size_um: float | None = None
    largest_group: float | None = None

    def exceeds(self, score: float) -> bool:
        """Whether a frame of this score raises an alarm.

        A score equal to the threshold does not, so that the guarantee holds with ties. NaN does:
        a detector that broke down must not pass for a line without defects.
        """
        return not score <= self.threshold

    def false_alarms_per_hour(self, frame_rate_hz: float) -> float:
        """Most false alarms an hour that the requested rate allows at `frame_rate_hz`.

        The rate is of groups, and the largest ones may be those that alarm.
        """
        share = min(1.0, self.false_alarm_rate * (self.largest_group or 1.0))
        return share * frame_rate_hz * 3600

    def to_json(self) -> str:
        """The document; `from_json` gives back an equal calibration, to the last bit."""
        document = {"format_version": FORMAT_VERSION, **asdict(self)}
        for name in ("bits", "pixel_size_um", "largest_group"):
            if document[name] is None:
                del document[name]
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read a document; raises `CalibrationError` where something is wrong with it."""
        reader = Reader(parse_object(text))
        version = reader.take("format_version")
        if isinstance(version, bool) or version != FORMAT_VERSION:
            raise CalibrationError(
                f"its format version is {version!r:.60}, and this semedge reads {FORMAT_VERSION}"
            )
        calibration = cls(
            threshold=reader.number("threshold"),
            method=_method(reader),
            false_alarm_rate=reader.share("false_alarm_rate"),
            confidence=None if reader.is_null("confidence") else reader.share("confidence"),
            proved_rate=reader.share("proved_rate"),
            rank=reader.count("rank"),
            groups=reader.count("groups"),
            frames=reader.count("frames"),
            guarantee=reader.text("guarantee"),
            group_by=None if reader.is_null("group_by") else reader.text("group_by"),
            group_every_s=_group_every_s(reader),
            fields=None if reader.is_null("fields") else reader.height_width("fields"),
            detector_sha256=_sha256(reader),
            grid=_grid(reader),
            score_name=reader.text("score_name"),
            runtime=reader.text("runtime"),
            quantiles=_quantiles(reader),
            appearance=read_appearance(reader),
            created_at=_created_at(reader),
            warnings=reader.texts("warnings"),
            bits=reader.count("bits") if reader.has("bits") else None,
            pixel_size_um=reader.number("pixel_size_um") if reader.has("pixel_size_um") else None,
            largest_group=reader.number("largest_group") if reader.has("largest_group") else None,
        )
        reader.finish()
        _check_agreement(calibration)
        return calibration


def _method(reader: Reader) -> Method:
    value = reader.text("method")
    for method in METHODS:
        if value == method:
            return method
    raise CalibrationError(f"method must be one of {', '.join(METHODS)}, and is {value!r:.60}")


def _group_every_s(reader: Reader) -> float | None:
    if reader.is_null("group_every_s"):
        return None
    seconds = reader.number("group_every_s")
    if not seconds > 0:
        raise CalibrationError(f"group_every_s must be above 0, and is {seconds}")
    return seconds


def _sha256(reader: Reader) -> str:
    value = reader.text("detector_sha256")
    if not SHA256.fullmatch(value):
        raise CalibrationError(f"detector_sha256 must be 64 hex digits, and is {value!r:.80}")
    return value


def _grid(reader: Reader) -> ScoredGrid:
    inner = reader.inner("grid")
    grid = ScoredGrid(
        inner.count("patch_px"), inner.count("stride_px"), inner.height_width("frame_shape")
    )
    inner.finish()
    return grid


def _quantiles(reader: Reader) -> dict[str, float]:
    inner = reader.inner("quantiles")
    quantiles = {name: inner.number(name) for name in inner.names()}
    try:
        ordered = sorted((float(name), value) for name, value in quantiles.items())
    except ValueError as error:
        raise CalibrationError("quantiles must be named by probabilities, such as 0.5") from error
    if not ordered or not all(0 <= probability <= 1 for probability, _ in ordered):
        raise CalibrationError("quantiles must be named by probabilities, such as 0.5")
    if any(low > high for (_, low), (_, high) in pairwise(ordered)):
        raise CalibrationError("quantiles must not fall as the probability rises")
    return quantiles


def _created_at(reader: Reader) -> str:
    value = reader.text("created_at")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise CalibrationError(f"created_at must be an ISO date, and is {value!r:.60}") from error
    if moment.tzinfo is None:
        raise CalibrationError(f"created_at must include its UTC offset, and is {value!r:.60}")
    return value


def _check_agreement(calibration: Calibration) -> None:
    """Fields that cannot be true together mean a document changed by hand or by accident."""
    if (calibration.method == "tolerance") != (calibration.confidence is not None):
        raise CalibrationError(
            f"confidence is {calibration.confidence} with the method {calibration.method}, and "
            "only tolerance has one"
        )
    if calibration.proved_rate > calibration.false_alarm_rate:
        raise CalibrationError(
            f"proved_rate {calibration.proved_rate} is above the false_alarm_rate "
            f"{calibration.false_alarm_rate}"
        )
    if calibration.rank > calibration.groups:
        raise CalibrationError(f"rank {calibration.rank} is above groups {calibration.groups}")
    if calibration.largest_group is not None and calibration.largest_group <= 1:
        raise CalibrationError(f"largest_group must be above 1, and is {calibration.largest_group}")
    if calibration.fields is None and calibration.groups > calibration.frames:
        raise CalibrationError(
            f"groups {calibration.groups} are more than frames {calibration.frames}"
        )
