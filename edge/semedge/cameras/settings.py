"""What a camera is set to before it sends frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt

from semedge.core.errors import SemedgeError
from semedge.core.section import Section, WrittenAs

FREE_RUN = "off"
SOFTWARE = "software"
TIMEOUT_S = 10.0
"""Longest time without a frame, where none is given, before a camera counts as stalled."""


def feature_texts(features: Any) -> Any:
    """Features of a table as GenICam reads them, names with texts: truth values are 1 and 0."""
    if not isinstance(features, Mapping):
        return features
    return tuple((name, _text(name, value)) for name, value in features.items())


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise ValueError(f"{name} takes a text, a finite number, true or false")


class CameraSettings(Section):
    """What a camera is set to; what is None stays as the camera has it."""

    exposure_us: float | None = Field(
        default=None,
        gt=0,
        description="Exposure time; all but the crop need a genicam:, pylon: or aravis: camera.",
    )
    gain: float | None = Field(
        default=None, description="Gain in the camera's own unit, for most decibels."
    )
    frame_rate_hz: float | None = Field(
        default=None, gt=0, description="Frames a second of a camera that runs free."
    )
    region_px: tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="Left, top, width and height of the part of the sensor that is read.",
    )
    pixel_format: str | None = Field(
        default=None, min_length=1, description="Pixel format, from Mono8 to Mono16."
    )
    trigger: str | None = Field(
        default=None,
        min_length=1,
        description="off for a free run, software for a frame when one is asked for, or the "
        "camera's input, such as Line1.",
    )
    crop_bottom_px: int = Field(
        default=0,
        ge=0,
        description="Rows cut off at the lower edge of every frame: an information bar.",
    )
    features: Annotated[
        tuple[tuple[str, str], ...], BeforeValidator(feature_texts), WrittenAs("table")
    ] = Field(
        default=(),
        description="Further features by their GenICam names, set before the rest, in this order.",
    )

    def overruled_by(self, others: CameraSettings) -> CameraSettings:
        """The other settings where they differ from the defaults, and these elsewhere."""
        defaults = type(others).model_fields
        changed = {name: value for name, value in others if value != defaults[name].default}
        return self.model_copy(update=changed)

    def refuse_for(self, source: str) -> None:
        """`SemedgeError` where something but the crop is set, which `source` does not have."""
        for name, value in self:
            if name != "crop_bottom_px" and value != type(self).model_fields[name].default:
                raise SemedgeError(
                    f"{name} = {value} cannot be set on {source}; only genicam:, pylon: and "
                    "aravis: cameras have such settings, so leave it out."
                )

    @property
    def waits_for_trigger(self) -> bool:
        """Whether frames come when a signal does, so that silence is no fault of the camera."""
        return self.trigger is not None and self.trigger not in (FREE_RUN, SOFTWARE)


AS_IT_IS = CameraSettings()
